using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>
/// Which rows make up which iteration: a pure function of seed, lengths and iteration. Every epoch uses each row once,
/// in batches whose sizes differ by at most one.
/// </summary>
internal sealed class EpochPlan(IReadOnlyList<int> lengths, int batchSize, bool groupByLength, ulong seed)
{
    // Keep these orders apart from each other and from all others that are shuffled by the same seed.
    private const long RowStream = 0x524F5753;
    private const long BatchStream = 0x42415443;

    // Rows are sorted by length only within so many batches of shuffled rows, so that batches still differ from epoch to epoch.
    private const int BatchesPerGroup = 16;
    private (long Epoch, int[][] Batches) _last = (-1, []);

    /// <summary>Iterations of one epoch.</summary>
    public int BatchesPerEpoch { get; } = (lengths.Count + batchSize - 1) / batchSize;

    /// <summary>Rows of an iteration, from 1; iterations beyond the run's go on with further epochs.</summary>
    public IReadOnlyList<int> RowsOf(long iteration)
    {
        var epoch = (iteration - 1) / BatchesPerEpoch;
        if (_last.Epoch != epoch)
            _last = (epoch, Arrange(epoch));
        return _last.Batches[(iteration - 1) % BatchesPerEpoch];
    }

    /// <summary>Share of an epoch's places that would be padding if every batch were padded to its longest row.</summary>
    public double PaddingOfFirstEpoch()
    {
        var (used, places) = (0L, 0L);
        foreach (var batch in Arrange(0))
        {
            used += batch.Sum(row => (long)lengths[row]);
            places += (long)batch.Length * batch.Max(row => lengths[row]);
        }

        return places == 0 ? 0 : 1 - ((double)used / places);
    }

    private int[][] Arrange(long epoch)
    {
        var order = new RandomKey(seed, RandomPurpose.Shuffle, epoch, RowStream).Permutation(lengths.Count);
        if (groupByLength)
            order = [.. order.Chunk(batchSize * BatchesPerGroup).SelectMany(group => group.OrderByDescending(row => lengths[row]))];
        var batches = Enumerable.Range(0, BatchesPerEpoch)
            .Select(i => order[FirstOf(i)..FirstOf(i + 1)])
            .ToArray();
        // Sorted groups would otherwise train from long to short.
        var turn = new RandomKey(seed, RandomPurpose.Shuffle, epoch, BatchStream).Permutation(BatchesPerEpoch);
        return [.. turn.Select(i => batches[i])];
    }

    private int FirstOf(int batch) => (int)((long)batch * lengths.Count / BatchesPerEpoch);
}
