using System.Collections.Immutable;
using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Windows that are written ahead of their iteration: each waits until it is its turn, so that the hosted role sees them in
/// their order, and its state between two iterations knows of no later one.
/// </summary>
internal sealed partial class ExperienceActor
{
    private readonly Dictionary<long, (Window Window, ImmutableArray<ScoredRollout> Parts, WindowTimings Timings)> _held = [];
    private readonly Dictionary<BatchId, List<RolloutScored>> _early = [];
    private readonly Dictionary<BatchId, long> _marks = [];
    private ImmutableSortedDictionary<string, string> _weights = ImmutableSortedDictionary<string, string>.Empty;
    private long _released;

    private bool IsAhead => Flow.Definition.Flow.Staleness > 0;

    private void ReceiveAhead()
    {
        Receive<RolloutDone>(Accept);
        Receive<RolloutScored>(Accept);
        Receive<TrainWindow>(Train);
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

    /// <summary>Keeps a window until its turn; false when it has come.</summary>
    private bool Hold(Window window, ImmutableArray<ScoredRollout> parts, WindowTimings timings)
    {
        if (window.Purpose != BatchPurpose.Train)
            return false;
        Iteration.Tell(new WindowWhole(window.Iteration));
        if (window.Iteration <= _released)
            return false;
        _held[window.Iteration] = (window, parts, timings);
        return true;
    }

    private void Train(TrainWindow train)
    {
        (_released, _weights) = (train.Iteration, train.Weights);
        if (_held.Remove(train.Iteration, out var held))
            Release(held.Window, held.Parts, held.Timings);
        else if (_last is { } last && last.Window.Iteration == train.Iteration && last.Window.Purpose == BatchPurpose.Train)
            Complete(last.Window, last.Parts, last.Timings);
    }
}
