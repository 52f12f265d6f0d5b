namespace ColossalChat.Contracts.Torch;

/// <summary>
/// Lengths of right-padded rows and the tensors that follow from them, made once for all blocks of a forward pass.
/// Pads are known by length, never by token id. With causal attention over right-padded rows no real position can see a
/// pad, so the whole-sequence forward needs no mask at all.
/// </summary>
public sealed class SequenceLayout
{
    /// <summary>Describes rows.</summary>
    /// <param name="lengths">Tokens of each row; all at least 1.</param>
    /// <param name="paddedLength">T; at least the longest length.</param>
    public SequenceLayout(IReadOnlyList<int> lengths, int paddedLength)
    {
        if (lengths.Count == 0 || lengths.Min() < 1 || lengths.Max() > paddedLength)
            throw new ArgumentException($"Row lengths must be from 1 to {paddedLength}.", nameof(lengths));
        (Lengths, PaddedLength) = (lengths, paddedLength);
    }

    /// <summary>Tokens of each row.</summary>
    public IReadOnlyList<int> Lengths { get; }

    /// <summary>T.</summary>
    public int PaddedLength { get; }

    /// <summary>B.</summary>
    public int Rows => Lengths.Count;

    /// <summary>
    /// A number for each row that follows from its tokens alone, whichever rows stand beside it; null where nothing is
    /// drawn at random. What must not depend on how a window is cut (a dropout mask) is keyed by it and the position.
    /// </summary>
    public IReadOnlyList<ulong>? RowKeys { get; init; }
}

/// <summary>Keys and values of all blocks for sequences that grow.</summary>
public interface IKeyValueCache : IDisposable
{
    /// <summary>Sequences that fit.</summary>
    int Rows { get; }

    /// <summary>Tokens of each row so far.</summary>
    IReadOnlyList<int> Lengths { get; }

    /// <summary>Plans where new tokens of some rows go.</summary>
    /// <param name="rows">Cache rows, one for each row of the new tokens; null for all in order.</param>
    /// <param name="newLengths">New tokens of each of these rows, 1 or more.</param>
    CacheStep Plan(IReadOnlyList<int>? rows, IReadOnlyList<int> newLengths);

    /// <summary>Counts a step's tokens as present, after the last block.</summary>
    void Advance(CacheStep step);

    /// <summary>Empties a row for another sequence.</summary>
    void Clear(int row);

    /// <summary>
    /// Moves a sequence to another row, whose own is lost; the old row becomes empty. A generator keeps its running rows
    /// together this way: rows without gaps are read in place, others are copied at every step.
    /// </summary>
    void Move(int from, int to);
}

/// <summary>Where the new tokens of one forward pass go; disposing frees its tensors.</summary>
public abstract class CacheStep : IDisposable
{
    /// <summary>Cache rows.</summary>
    public abstract IReadOnlyList<int> Rows { get; }

    /// <summary>New tokens of each row.</summary>
    public abstract IReadOnlyList<int> NewLengths { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees tensors.</summary>
    protected abstract void Dispose(bool disposing);
}
