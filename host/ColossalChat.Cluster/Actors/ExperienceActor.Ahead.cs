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
    private ImmutableSortedDictionary<string, string> _weights = ImmutableSortedDictionary<string, string>.Empty;
    private long _released;

    private bool IsAhead => Flow.Definition.Flow.Staleness > 0;

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
