using System.Collections.Immutable;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Joins the parts of batches by their ids, in whatever order they come, until a window is whole. Parts of a window
/// that was closed, parts that came already and parts nobody asked for are late.
/// </summary>
internal sealed record WindowJoin(
    ImmutableHashSet<ScoreKind> Needed,
    (long Iteration, BatchPurpose Purpose)? LastClosed,
    ImmutableDictionary<BatchId, BatchParts> Open)
{
    /// <summary>Windows that may be open beside an older one; 0 where they follow one another.</summary>
    public int Ahead { get; init; }

    private ImmutableSortedSet<(long Iteration, BatchPurpose Purpose)> Closed { get; init; } = [];

    // Counted as they come: looking through a window for each of its batches is what a large window would cost most.
    private ImmutableDictionary<(long Iteration, BatchPurpose Purpose), int> Whole { get; init; } =
        ImmutableDictionary<(long Iteration, BatchPurpose Purpose), int>.Empty;

    public static WindowJoin Of(IEnumerable<ScoreKind> needed) =>
        new([.. needed], null, ImmutableDictionary<BatchId, BatchParts>.Empty);

    public WindowStep Add(BatchId batch, int batches, Rollout rollout) =>
        Add(batch, batches, parts => parts.Rollout is null ? parts with { Rollout = rollout } : null);

    public WindowStep Add(BatchId batch, int batches, Scores scores) =>
        Add(batch, batches, parts => Needed.Contains(scores.Kind) && !parts.Scores.ContainsKey(scores.Kind)
            ? parts with { Scores = parts.Scores.Add(scores.Kind, scores) }
            : null);

    /// <summary>True when all parts of a batch came.</summary>
    public bool HasWhole(BatchId batch) => IsClosed(batch) || (Open.TryGetValue(batch, out var parts) && parts.IsWhole(Needed.Count));

    private WindowStep Add(BatchId batch, int batches, Func<BatchParts, BatchParts?> add)
    {
        if (batch.Shard < 0 || batch.Shard >= batches || IsClosed(batch))
            return new WindowStep(this, IsLate: true, BatchIsWhole: false, Window: null);
        if (add(Open.GetValueOrDefault(batch, BatchParts.None)) is not { } parts)
            return new WindowStep(this, IsLate: true, BatchIsWhole: false, Window: null);

        var next = this with { Open = Open.SetItem(batch, parts) };
        if (!parts.IsWhole(Needed.Count))
            return new WindowStep(next, IsLate: false, BatchIsWhole: false, Window: null);
        var window = (batch.Iteration, batch.Purpose);
        var whole = Whole.GetValueOrDefault(window) + 1;
        return whole < batches
            ? new WindowStep(next with { Whole = Whole.SetItem(window, whole) }, IsLate: false, BatchIsWhole: true, Window: null)
            : new WindowStep(next.Close(batch), IsLate: false, BatchIsWhole: true, next.WindowOf(batch, batches));
    }

    // Windows follow one another: an iteration's training window, then its measurement. Those that are written ahead may be
    // whole before older ones.
    private bool IsClosed(BatchId batch) => LastClosed is { } last && (Ahead > 0
        ? batch.Iteration < last.Iteration - Ahead || Closed.Contains((batch.Iteration, batch.Purpose))
        : batch.Iteration < last.Iteration || (batch.Iteration == last.Iteration && batch.Purpose <= last.Purpose));

    private ImmutableArray<ScoredRollout> WindowOf(BatchId any, int batches) =>
        [.. Enumerable.Range(0, batches).Select(shard => Open[any with { Shard = shard }]).Select(parts => new ScoredRollout(parts.Rollout!, parts.Scores))];

    private WindowJoin Close(BatchId any)
    {
        var window = (any.Iteration, any.Purpose);
        var last = LastClosed is { } before && before.CompareTo(window) > 0 ? before : window;
        var closed = this with
        {
            LastClosed = last,
            Closed = Ahead > 0 ? Closed.Add(window).Except(Closed.Where(old => old.Iteration < last.Iteration - Ahead)) : Closed,
        };
        return closed with
        {
            Open = Open.RemoveRange(Open.Keys.Where(closed.IsClosed)),
            Whole = Whole.RemoveRange(Whole.Keys.Where(key => closed.IsClosed(new BatchId(key.Iteration, 0, key.Purpose)))),
        };
    }
}

/// <summary>What has come of one batch.</summary>
internal sealed record BatchParts(Rollout? Rollout, ImmutableDictionary<ScoreKind, Scores> Scores)
{
    public static BatchParts None { get; } = new(null, ImmutableDictionary<ScoreKind, Scores>.Empty);

    public bool IsWhole(int kinds) => Rollout is not null && Scores.Count == kinds;
}

/// <summary>What one more part changed.</summary>
/// <param name="State">The join from now on.</param>
/// <param name="IsLate">The part was dropped.</param>
/// <param name="BatchIsWhole">It completed its batch.</param>
/// <param name="Window">The whole window ordered by shard, when it completed that.</param>
internal sealed record WindowStep(WindowJoin State, bool IsLate, bool BatchIsWhole, ImmutableArray<ScoredRollout>? Window);
