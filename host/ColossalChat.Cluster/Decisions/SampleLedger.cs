using System.Collections.Immutable;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>What training needs of a sample.</summary>
internal enum SampleField
{
    /// <summary>The answer.</summary>
    Rollout,

    /// <summary>Log-probabilities under the reference.</summary>
    ReferenceLogProbs,

    /// <summary>Values of the critic.</summary>
    Values,

    /// <summary>Its reward.</summary>
    Rewards,

    /// <summary>What the experience role made of all of these.</summary>
    Experience,
}

/// <summary>How far a field of a sample is.</summary>
internal enum SampleState
{
    /// <summary>It has not come.</summary>
    Awaited,

    /// <summary>It is there.</summary>
    Ready,

    /// <summary>The trainers have it.</summary>
    HandedOut,

    /// <summary>It has changed the weights, once.</summary>
    Acknowledged,
}

/// <summary>What an event did to the ledger.</summary>
internal enum LedgerOutcome
{
    /// <summary>It counts.</summary>
    Taken,

    /// <summary>It had come already.</summary>
    Duplicate,

    /// <summary>It is of an older epoch, or of a window that nobody opened.</summary>
    Late,
}

/// <summary>A training window that is not counted yet.</summary>
/// <param name="Batches">How many; shards run from 0 to one less.</param>
/// <param name="Ready">Rows of each part that has come.</param>
/// <param name="IsHandedOut">Its experience went to the trainers.</param>
/// <param name="IsAcknowledged">All trainers said that they have used it.</param>
internal sealed record LedgerWindow(
    int Batches, ImmutableDictionary<(int Shard, SampleField Field), int> Ready, bool IsHandedOut, bool IsAcknowledged)
{
    public int Samples => Ready.Where(part => part.Key.Field == SampleField.Rollout).Sum(part => part.Value);
}

/// <summary>What one more event changed.</summary>
/// <param name="State">The ledger from now on.</param>
/// <param name="Outcome">What the event was.</param>
internal sealed record LedgerStep(SampleLedger State, LedgerOutcome Outcome);

/// <summary>
/// Accounts for every sample from the answer to the weights: a training window counts once all its parts are ready, handed out
/// and acknowledged, in whatever order one hears of that. Samples of one batch move together, so a part is kept for a batch
/// with its number of rows. Going back to an iteration revokes all that was counted after it. Measuring windows train nothing
/// and are not in it.
/// </summary>
/// <param name="Needed">Fields that a sample needs before it is handed out.</param>
/// <param name="Epoch">Attempt of the run whose events count; 0 before the first.</param>
/// <param name="Open">Windows by iteration that do not count yet.</param>
/// <param name="Counted">Samples of each iteration that the weights have used.</param>
/// <param name="Unjournalled">Iterations of which it is only known that the weights have used them.</param>
/// <param name="Revoked">Samples that were counted in what was given up.</param>
internal sealed record SampleLedger(
    ImmutableHashSet<SampleField> Needed,
    long Epoch,
    ImmutableSortedDictionary<long, LedgerWindow> Open,
    ImmutableSortedDictionary<long, int> Counted,
    ImmutableSortedSet<long> Unjournalled,
    long Revoked)
{
    public static SampleLedger Of(IEnumerable<ScoreKind> needed) => new(
        [SampleField.Rollout, .. needed.Select(FieldOf)],
        0,
        ImmutableSortedDictionary<long, LedgerWindow>.Empty,
        ImmutableSortedDictionary<long, int>.Empty,
        [],
        0);

    public static SampleField FieldOf(ScoreKind kind) => kind switch
    {
        ScoreKind.ReferenceLogProbs => SampleField.ReferenceLogProbs,
        ScoreKind.Values => SampleField.Values,
        ScoreKind.Rewards => SampleField.Rewards,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Unknown kind of score."),
    };

    /// <summary>
    /// A new attempt goes on from the state after an iteration. That state is a witness: whatever it was made of has been used,
    /// whether or not the acknowledgement was still written.
    /// </summary>
    public LedgerStep Begin(long epoch, long after)
    {
        if (epoch <= Epoch)
            return new LedgerStep(this, epoch == Epoch ? LedgerOutcome.Duplicate : LedgerOutcome.Late);
        var next = this;
        foreach (var (iteration, window) in Open.TakeWhile(entry => entry.Key <= after))
            next = IsWhole(window) ? next.Count(iteration, window) : next.Lose(iteration);
        var revoked = next.Counted.Where(entry => entry.Key > after).ToArray();
        return Taken(next with
        {
            Epoch = epoch,
            Open = next.Open.Clear(),
            Counted = next.Counted.RemoveRange(revoked.Select(entry => entry.Key)),
            Unjournalled = next.Unjournalled.Except(next.Unjournalled.Where(iteration => iteration > after)),
            Revoked = next.Revoked + revoked.Sum(entry => (long)entry.Value),
        });
    }

    /// <summary>An iteration's training window begins.</summary>
    public LedgerStep OpenWindow(long epoch, long iteration, int batches)
    {
        if (epoch != Epoch)
            return Late;
        if (Open.ContainsKey(iteration) || Counted.ContainsKey(iteration) || Unjournalled.Contains(iteration))
            return Duplicate;
        return Taken(this with
        {
            Open = Open.Add(iteration, new LedgerWindow(batches, ImmutableDictionary<(int, SampleField), int>.Empty, IsHandedOut: false, IsAcknowledged: false)),
        });
    }

    /// <summary>A part of a batch has come.</summary>
    public LedgerStep Ready(long epoch, BatchId batch, SampleField field, int rows)
    {
        if (WindowOf(epoch, batch.Iteration) is not { } window)
            return Counted.ContainsKey(batch.Iteration) && epoch == Epoch ? Duplicate : Late;
        if (batch.Purpose != BatchPurpose.Train || batch.Shard < 0 || batch.Shard >= window.Batches || !Needed.Contains(field))
            return Late;
        return window.Ready.ContainsKey((batch.Shard, field))
            ? Duplicate
            : With(batch.Iteration, window with { Ready = window.Ready.Add((batch.Shard, field), rows) });
    }

    /// <summary>The window's experience went to the trainers.</summary>
    public LedgerStep HandOut(long epoch, long iteration) => Mark(
        epoch, iteration, window => window.IsHandedOut ? null : window with { IsHandedOut = true });

    /// <summary>All trainers have used it.</summary>
    public LedgerStep Acknowledge(long epoch, long iteration) => Mark(
        epoch, iteration, window => window.IsAcknowledged ? null : window with { IsAcknowledged = true });

    /// <summary>Events of an iteration were lost on their way to the disk; it was or will be trained on all the same.</summary>
    public LedgerStep Miss(long epoch, long iteration)
    {
        if (epoch != Epoch)
            return Late;
        return Unjournalled.Contains(iteration) || Counted.ContainsKey(iteration) ? Duplicate : Taken(Lose(iteration));
    }

    /// <summary>How far a field of one of a batch's samples is.</summary>
    public SampleState StateOf(BatchId batch, SampleField field)
    {
        if (batch.Purpose != BatchPurpose.Train)
            return SampleState.Awaited;
        if (Counted.ContainsKey(batch.Iteration))
            return SampleState.Acknowledged;
        if (!Open.TryGetValue(batch.Iteration, out var window))
            return SampleState.Awaited;
        if (window.IsHandedOut)
            return SampleState.HandedOut;
        return window.Ready.ContainsKey((batch.Shard, field)) ? SampleState.Ready : SampleState.Awaited;
    }

    private LedgerStep Duplicate => new(this, LedgerOutcome.Duplicate);

    private LedgerStep Late => new(this, LedgerOutcome.Late);

    private static LedgerStep Taken(SampleLedger state) => new(state, LedgerOutcome.Taken);

    private LedgerWindow? WindowOf(long epoch, long iteration) => epoch == Epoch ? Open.GetValueOrDefault(iteration) : null;

    private LedgerStep Mark(long epoch, long iteration, Func<LedgerWindow, LedgerWindow?> mark)
    {
        if (WindowOf(epoch, iteration) is not { } window)
            return Counted.ContainsKey(iteration) && epoch == Epoch ? Duplicate : Late;
        return mark(window) is { } marked ? With(iteration, marked) : Duplicate;
    }

    private LedgerStep With(long iteration, LedgerWindow window) => Taken(
        window.IsHandedOut && window.IsAcknowledged && IsWhole(window)
            ? Count(iteration, window)
            : this with { Open = Open.SetItem(iteration, window) });

    private bool IsWhole(LedgerWindow window) => window.Ready.Count == window.Batches * Needed.Count;

    private SampleLedger Count(long iteration, LedgerWindow window) =>
        this with { Open = Open.Remove(iteration), Counted = Counted.SetItem(iteration, window.Samples) };

    private SampleLedger Lose(long iteration) => this with { Open = Open.Remove(iteration), Unjournalled = Unjournalled.Add(iteration) };
}
