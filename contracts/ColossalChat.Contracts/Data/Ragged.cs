namespace ColossalChat.Contracts;

/// <summary>
/// Rows of different lengths, back to back; row i is <c>values[offsets[i] .. offsets[i + 1]]</c>. Crosses the wire; a
/// tensor never does. Nothing is padded.
/// </summary>
/// <typeparam name="T">int for token ids, float for numbers, bool for masks, long for versions.</typeparam>
public sealed class Ragged<T>
{
    /// <summary>Wraps both arrays without copying; the caller must not change them afterwards.</summary>
    /// <param name="offsets">[Rows + 1], from 0, never falling, ending at the number of values.</param>
    /// <param name="values">All rows in order.</param>
    public Ragged(ReadOnlyMemory<int> offsets, ReadOnlyMemory<T> values)
    {
        var o = offsets.Span;
        if (o.Length == 0 || o[0] != 0 || o[^1] != values.Length)
            throw new ArgumentException($"Offsets must run from 0 to {values.Length}, the number of values.", nameof(offsets));
        for (var i = 1; i < o.Length; i++)
            if (o[i] < o[i - 1])
                throw new ArgumentException($"Offset {i} is {o[i]}, below the one before it ({o[i - 1]}).", nameof(offsets));
        (Offsets, Values) = (offsets, values);
    }

    /// <summary>[Rows + 1].</summary>
    public ReadOnlyMemory<int> Offsets { get; }

    /// <summary>All rows in order.</summary>
    public ReadOnlyMemory<T> Values { get; }

    /// <summary>Number of rows.</summary>
    public int Rows => Offsets.Length - 1;

    /// <summary>Row <paramref name="row"/>, without copying.</summary>
    public ReadOnlyMemory<T> this[int row] => Values[Offsets.Span[row]..Offsets.Span[row + 1]];

    /// <summary>Number of values in row <paramref name="row"/>.</summary>
    public int LengthOf(int row) => Offsets.Span[row + 1] - Offsets.Span[row];

    /// <summary>True when both have the same number of rows with the same lengths.</summary>
    public bool HasShapeOf<TOther>(Ragged<TOther> other) => Offsets.Span.SequenceEqual(other.Offsets.Span);

    /// <summary>Chosen rows in the order given, copied.</summary>
    public Ragged<T> Pick(IReadOnlyList<int> rows) => Ragged.FromRows(rows.Select(row => this[row]).ToArray());
}

/// <summary>Makes <see cref="Ragged{T}"/> values.</summary>
public static class Ragged
{
    /// <summary>Copies rows into one block.</summary>
    public static Ragged<T> FromRows<T>(IReadOnlyList<ReadOnlyMemory<T>> rows)
    {
        var offsets = new int[rows.Count + 1];
        for (var i = 0; i < rows.Count; i++)
            offsets[i + 1] = checked(offsets[i] + rows[i].Length);
        var values = new T[offsets[^1]];
        for (var i = 0; i < rows.Count; i++)
            rows[i].CopyTo(values.AsMemory(offsets[i]));
        return new Ragged<T>(offsets, values);
    }

    /// <summary>Copies rows into one block.</summary>
    public static Ragged<T> FromRows<T>(IEnumerable<T[]> rows) =>
        FromRows(rows.Select(row => (ReadOnlyMemory<T>)row).ToArray());

    /// <summary>One value in each row.</summary>
    public static Ragged<T> Scalars<T>(ReadOnlyMemory<T> values) =>
        new(Enumerable.Range(0, values.Length + 1).ToArray(), values);

    /// <summary>Rows of several blocks, one block after the other.</summary>
    public static Ragged<T> Concatenate<T>(IReadOnlyList<Ragged<T>> blocks) =>
        FromRows(blocks.SelectMany(block => Enumerable.Range(0, block.Rows).Select(row => block[row])).ToArray());
}
