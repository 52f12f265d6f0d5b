using System.Collections.Immutable;
using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Joins the parts of batches by their ids and, when a window is whole, lets the hosted role make experience of it.
/// </summary>
internal sealed partial class ExperienceActor : StatefulRoleActor<IExperienceRole>
{
    private WindowJoin _join;
    private readonly Dictionary<(long Iteration, BatchPurpose Purpose), WindowTimings> _timings = [];
    private (Window Window, ImmutableArray<ScoredRollout> Parts, WindowTimings Timings)? _last;
    private (ImmutableArray<ScoredRollout> Parts, int Ranks)? _trial;

    public ExperienceActor(FlowContext flow, Func<IExperienceRole> make, RunState? from)
        : base(flow, RoleSlots.Experience, _ => make(), from)
    {
        _join = WindowJoin.Of(flow.Definition.Plan.ScoresNeeded) with { Ahead = flow.Definition.Flow.Staleness };
        if (flow.Definition.MarksRollouts)
            ReceiveMarked();
        else
            ReceiveUnmarked();
        Receive<TrainWindow>(Train);
        Receive<ResendWindow>(resend =>
        {
            if (_last is { } last && new BatchId(last.Window.Iteration, 0, last.Window.Purpose) == resend.Batch)
                Complete(last.Window, last.Parts, last.Timings);
        });
    }

    private void ReceiveUnmarked()
    {
        Receive<RolloutDone>(done => _ = Take(done));
        Receive<RolloutScored>(Take);
    }

    private bool Take(RolloutDone done) => Add(
        done, done.Batch, done.Window, _join.Add(done.Batch, done.Window.Batches, done.Rollout), "generate", done.Took,
        new KeepPart(Flow.Epoch, done.Batch, done.Rollout, null));

    private void Take(RolloutScored scored) => Add(
        scored, scored.Batch, scored.Window, _join.Add(scored.Batch, scored.Window.Batches, scored.Scores),
        WindowTimings.NameOf(scored.Scores.Kind), scored.Took, new KeepPart(Flow.Epoch, scored.Batch, null, scored.Scores));

    private bool Add(object message, BatchId batch, Window window, WindowStep step, string timing, TimeSpan took, KeepPart part)
    {
        if (step.IsLate)
        {
            DropLate(message, batch);
            // The prompt actor would not have it made again had it heard that it is here.
            if (Flow.Definition.IsSpread && _join.HasWhole(batch))
                window.Route.Prompts.Tell(new BatchJoined(batch));
            return false;
        }

        _join = step.State;
        var key = (window.Iteration, window.Purpose);
        if (!_timings.TryGetValue(key, out var timings))
            _timings.Add(key, timings = new WindowTimings());
        timings.Add(timing, took);
        if (batch.Purpose == BatchPurpose.Train)
            Flow.Journal.Tell(part);
        if (step.BatchIsWhole)
        {
            RunTelemetry.Batches.Add(1, Purposes.LabelOf(batch.Purpose));
            window.Route.Prompts.Tell(new BatchJoined(batch));
        }

        if (step.Window is not { } parts)
            return true;
        _timings.Remove(key);
        if (window.Purpose == BatchPurpose.Train)
            timings.Add(Staleness.Of(parts, window.Iteration).Counted());
        if (!IsAhead || !Hold(window, parts, timings))
            Release(window, parts, timings);
        return true;
    }

    private void Release(Window window, ImmutableArray<ScoredRollout> parts, WindowTimings timings)
    {
        _last = Flow.Definition.IsSpread ? (window, parts, timings) : null;
        Complete(window, parts, timings);
    }

    private void Complete(Window window, ImmutableArray<ScoredRollout> parts, WindowTimings timings)
    {
        var size = SizeOf(parts);
        var batch = new BatchId(window.Iteration, 0, window.Purpose);
        if (window.Purpose == BatchPurpose.Train)
            _trial = (parts, window.Route.Training.Ranks);
        if (window.Purpose == BatchPurpose.Train)
            Call(batch, "build experience", (role, _) => Checked(role.Build(parts, window.Route.Training.Ranks), window.Route.Training.Ranks),
                (built, took) => Train(window, size, built, timings.With("experience", took)));
        else
            Call(batch, "measure", (role, _) => role.Measure(parts),
                (built, took) => Iteration.Tell(new WindowMeasured(
                    window.Iteration, size, timings.With("experience", took).MergedInto(built.Metrics), built.Samples)));
    }

    protected override Action<IExperienceRole, CancellationToken>? Trial() => _trial is not { } window ? null : (role, _) =>
    {
        if (Promises.BrokenBy(Checked(role.Build(window.Parts, window.Ranks), window.Ranks)) is { } broken)
            throw new InvalidOperationException(broken);
    };

    private static WindowSize SizeOf(ImmutableArray<ScoredRollout> parts)
    {
        var written = parts.Sum(part => (long)part.Rollout.Tokens.Values.Length);
        return new WindowSize(
            parts.Sum(part => part.Rollout.Rows), written + parts.Sum(part => (long)part.Rollout.Prompts.Tokens.Values.Length), written);
    }

    private static ExperienceWindow Checked(ExperienceWindow built, int ranks) => built.PerRank.Count == ranks
        ? built
        : throw new InvalidOperationException($"It gave experience for {built.PerRank.Count} ranks; {ranks} were asked for.");

    private void Train(Window window, WindowSize size, ExperienceWindow built, WindowTimings timings)
    {
        var training = window.Route.Training;
        Flow.Journal.Tell(new KeepHandOut(Flow.Epoch, window.Iteration, _weights));
        Iteration.Tell(new ExperienceBuilt(window.Iteration, size, timings.MergedInto(built.Metrics), built.Samples));
        training.Tell(Flow, window.Iteration, built.PerRank);
    }
}
