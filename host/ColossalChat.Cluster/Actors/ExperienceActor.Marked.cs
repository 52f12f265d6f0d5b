using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Batches that may be written twice, and differently: answers and scores are joined only when they belong together.
/// </summary>
internal sealed partial class ExperienceActor
{
    private readonly Dictionary<BatchId, List<RolloutScored>> _early = [];
    private readonly Dictionary<BatchId, long> _marks = [];

    private void ReceiveMarked()
    {
        Receive<RolloutDone>(Accept);
        Receive<RolloutScored>(Accept);
    }

    // The first answers of a batch count; the prompt actor must know of them before it has the batch made again.
    private void Accept(RolloutDone done)
    {
        var mark = RolloutMark.Of(done.Rollout);
        if (!Take(done))
            return;
        done.Window.Route.Prompts.Tell(new RolloutJoined(done.Batch, done.Rollout));
        if (_join.HasWhole(done.Batch))
            return;
        _marks[done.Batch] = mark;
        if (!_early.Remove(done.Batch, out var early))
            return;
        foreach (var scored in early)
            Accept(scored);
    }

    // Scores may come before their answers; until then nobody knows whether they are of those that count.
    private void Accept(RolloutScored scored)
    {
        if (!_marks.TryGetValue(scored.Batch, out var mark))
        {
            if (_join.HasWhole(scored.Batch))
                Take(scored);
            else if (_early.TryGetValue(scored.Batch, out var others))
                others.Add(scored);
            else
                _early[scored.Batch] = [scored];
            return;
        }

        if (scored.Mark != 0 && scored.Mark != mark)
        {
            DropLate(scored, scored.Batch);
            return;
        }

        Take(scored);
        if (_join.HasWhole(scored.Batch))
            _marks.Remove(scored.Batch);
    }
}
