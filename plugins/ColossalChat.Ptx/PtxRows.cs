using ColossalChat.Contracts;

namespace ColossalChat.Ptx;

/// <summary>What each step reads: a pure function of the run's seed, the data and the number of the step.</summary>
internal interface IPtxRows
{
    /// <summary>Sequences of one step.</summary>
    /// <param name="step">From 0.</param>
    Experience Take(long step);
}

/// <summary>Rows of plain text, shuffled anew in every epoch; all tokens but the first of a row are targets.</summary>
internal sealed class PlainTextRows(IReadOnlyList<int[]> rows, int rowsPerStep, ulong seed) : IPtxRows
{
    // Keeps this order apart from those of other data sources of the run.
    private const long Stream = 0x505458;
    private (long Epoch, int[] Order) _shuffled = (-1, []);

    /// <inheritdoc/>
    public Experience Take(long step)
    {
        var chosen = Enumerable.Range(0, rowsPerStep).Select(i => rows[RowAt((step * rowsPerStep) + i)]).ToArray();
        return new Experience(
            Ragged.FromRows(chosen),
            Ragged.FromRows(chosen.Select(row => row.Select((_, position) => position > 0).ToArray())),
            new Dictionary<string, Ragged<float>>());
    }

    private int RowAt(long index)
    {
        var epoch = index / rows.Count;
        if (_shuffled.Epoch != epoch)
            _shuffled = (epoch, new RandomKey(seed, RandomPurpose.Shuffle, epoch, Stream).Permutation(rows.Count));
        return _shuffled.Order[index % rows.Count];
    }
}

/// <summary>The iterations of a batch source, from the first again after the last.</summary>
internal sealed class SourceRows(IBatchSource source) : IPtxRows
{
    /// <inheritdoc/>
    public Experience Take(long step) => source.Take((step % source.Iterations) + 1, ranks: 1)[0];
}
