using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Tells of the batches of one attempt: the root span of each, from when its window was begun to when its iteration ended.
/// It belongs to the iteration actor.
/// </summary>
internal sealed class BatchWatch
{
    private readonly Dictionary<(long Iteration, BatchPurpose Purpose), (DateTimeOffset From, int Batches)> _open = [];
    private readonly FlowContext _flow;
    private readonly long _opening;

    /// <param name="flow">The attempt.</param>
    /// <param name="iteration">Its roles are opened under this iteration's first batch, until its first window is begun.</param>
    public BatchWatch(FlowContext flow, long iteration)
    {
        (_flow, _opening) = (flow, iteration);
        Begin(iteration, BatchPurpose.Train, 1);
    }

    /// <summary>A window is begun.</summary>
    /// <param name="iteration">Its iteration.</param>
    /// <param name="purpose">Its purpose.</param>
    /// <param name="batches">Its batches; the trainers' ranks, when these are more.</param>
    public void Begin(long iteration, BatchPurpose purpose, int batches)
    {
        if (_open.Count > 0 && (iteration, purpose) != (_opening, BatchPurpose.Train))
            End(_opening, BatchPurpose.Train);
        if (RunTelemetry.Source.HasListeners())
            _open.TryAdd((iteration, purpose), (DateTimeOffset.UtcNow, batches));
    }

    /// <summary>A window has come to its end.</summary>
    public void End(long iteration, BatchPurpose purpose) => End((iteration, purpose), RoleWatch.Ok);

    /// <summary>The attempt is over: what is still open will not be finished by it.</summary>
    public void GiveUp()
    {
        foreach (var window in _open.Keys.ToArray())
            End(window, "given up");
    }

    private void End((long Iteration, BatchPurpose Purpose) window, string outcome)
    {
        if (!_open.Remove(window, out var begun))
            return;
        for (var shard = 0; shard < begun.Batches; shard++)
            RootSpan.Write(_flow, new BatchId(window.Iteration, shard, window.Purpose), begun.From, DateTimeOffset.UtcNow, outcome);
    }
}
