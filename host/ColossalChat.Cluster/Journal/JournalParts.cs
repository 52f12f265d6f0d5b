using System.Collections.Immutable;
using ColossalChat.Journal;

namespace ColossalChat.Cluster;

/// <summary>Finds and reads the parts of a window in a journal.</summary>
internal static class JournalParts
{
    /// <summary>Parts of an iteration that were made from the same as a window's would be, whichever epoch wrote them.</summary>
    public static ImmutableDictionary<(int Shard, SampleField Field), RecordHead> OfSource(JournalView view, long iteration, WindowSource source)
    {
        var records = view.Of(iteration);
        var epochs = records
            .Where(record => record.Key.Type == RecordType.Window && view.Content(record) is { } content && JournalCodec.ReadSource(content).IsSameAs(source))
            .Select(record => record.Segment.Epoch)
            .ToHashSet();
        return First(records.Where(record => IsPart(record) && epochs.Contains(record.Segment.Epoch) && record.Key.Shard < source.Batches));
    }

    /// <summary>
    /// Parts of a window that weights of several versions may have written. Those of a batch come from one epoch, because others
    /// wrote it with other weights; and only weights count that the run has not given up since, when it went back. A rollout says
    /// which ones wrote it; a critic may have had newer ones, so its values count only from before there were any.
    /// </summary>
    /// <param name="view">The journal.</param>
    /// <param name="iteration">Which window.</param>
    /// <param name="source">What it is made from.</param>
    /// <param name="staleness">How much older than the window versions may be.</param>
    /// <param name="after">Iteration that the run goes on after now.</param>
    public static ImmutableDictionary<(int Shard, SampleField Field), RecordHead> OfAhead(
        JournalView view, long iteration, WindowSource source, int staleness, long after)
    {
        var known = ImmutableDictionary<(int, SampleField), RecordHead>.Empty;
        foreach (var (epoch, _) in view.Epochs.OrderByDescending(epoch => epoch.Key))
        {
            if (!view.Of(iteration).Any(record => record.Key.Type == RecordType.Window && record.Segment.Epoch == epoch
                && view.Content(record) is { } content && JournalCodec.ReadSource(content).IsSameAs(source)))
                continue;
            foreach (var batch in OfEpoch(view, iteration, epoch).GroupBy(part => part.Key.Shard).Where(batch => batch.Key < source.Batches))
            {
                if (known.ContainsKey((batch.Key, SampleField.Rollout)))
                    continue;
                foreach (var head in batch.Where(part => part.Key.Field == SampleField.Rollout).Select(part => part.Value))
                {
                    var kept = view.Epochs.Where(later => later.Key > head.Segment.Epoch).Select(later => later.Value).Append(after).Min();
                    if (IsWithin(view, head, iteration - staleness, kept + 1))
                        known = known.AddRange(batch.Where(part => part.Key.Field != SampleField.Values || IsBeforeTraining(view, part.Value, kept + 1)));
                }
            }
        }

        return known;
    }

    private static bool IsWithin(JournalView view, RecordHead rollout, long oldest, long newest) => oldest <= newest
        && view.Content(rollout) is { } content
        && !JournalCodec.ReadRollout(content).WeightVersions.Values.Span.ContainsAnyExceptInRange(oldest, newest);

    // What an iteration makes is newer than anything that is recorded before it is handed out.
    private static bool IsBeforeTraining(JournalView view, RecordHead values, long iteration) => !view.Of(RecordType.HandedOut).Any(handed =>
        handed.Key.Iteration >= iteration && handed.Segment.Epoch == values.Segment.Epoch
        && (handed.Segment.Number, handed.Offset).CompareTo((values.Segment.Number, values.Offset)) < 0);

    /// <summary>Parts of an iteration that one epoch wrote or took over.</summary>
    public static ImmutableDictionary<(int Shard, SampleField Field), RecordHead> OfEpoch(JournalView view, long iteration, long epoch)
    {
        var records = view.Of(iteration);
        return First(records.Where(record => record.Segment.Epoch == epoch).Select(record => IsPart(record) ? record : Original(view, records, record)).OfType<RecordHead>());
    }

    /// <summary>Parts by shard; those that have lost their checksum are left out.</summary>
    public static ImmutableSortedDictionary<int, BatchParts> Read(JournalView view, IReadOnlyDictionary<(int Shard, SampleField Field), RecordHead> heads)
    {
        var batches = ImmutableSortedDictionary.CreateBuilder<int, BatchParts>();
        foreach (var ((shard, field), head) in heads)
        {
            if (view.Content(head) is not { } content)
                continue;
            var parts = batches.GetValueOrDefault(shard, BatchParts.None)!;
            if (field == SampleField.Rollout)
                batches[shard] = parts with { Rollout = JournalCodec.ReadRollout(content) };
            else if (JournalCodec.ReadScores(content) is var scores)
                batches[shard] = parts with { Scores = parts.Scores.SetItem(scores.Kind, scores) };
        }

        return batches.ToImmutable();
    }

    public static bool IsPart(RecordHead record) => record.Key.Type is RecordType.Rollout or RecordType.Scores;

    private static RecordHead? Original(JournalView view, IReadOnlyList<RecordHead> records, RecordHead pointer)
    {
        if (pointer.Key.Type != RecordType.Reused || view.Content(pointer) is not { } content)
            return null;
        var (segment, offset) = JournalCodec.ReadPointer(content);
        return records.Where(record => record.Segment == segment && record.Offset == offset && IsPart(record)).Select(record => (RecordHead?)record).FirstOrDefault();
    }

    private static ImmutableDictionary<(int, SampleField), RecordHead> First(IEnumerable<RecordHead> records) => records
        .GroupBy(record => (record.Key.Shard, (SampleField)record.Key.Part))
        .ToImmutableDictionary(same => same.Key, same => same.First());
}
