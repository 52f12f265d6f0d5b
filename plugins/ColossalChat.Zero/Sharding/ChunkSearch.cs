using ColossalChat.Contracts.Torch;

namespace ColossalChat.Zero;

/// <summary>Finds the chunk size that wastes least of a model, and packs parameters into chunks of it.</summary>
/// <param name="Size">Elements of a chunk.</param>
/// <param name="Waste">Elements of all chunks that hold no parameter.</param>
internal sealed record ChunkSearch(long Size, long Waste)
{
    // Widths of models are multiples of it.
    private const long Interval = 1024;

    /// <summary>Tries sizes from the smallest on; of equal waste the smallest size wins.</summary>
    /// <param name="lengths">Elements of each parameter, in model order.</param>
    /// <param name="smallest">Elements.</param>
    /// <param name="range">How far above it, elements.</param>
    public static ChunkSearch Best(IReadOnlyList<long> lengths, long smallest, long range)
    {
        var first = RoundUp(Math.Min(Math.Max(smallest, 1), lengths.Sum()));
        var best = new ChunkSearch(first, WasteOf(lengths, first));
        for (var size = first + Interval; size <= first + range && best.Waste > 0; size += Interval)
            if (WasteOf(lengths, size) is var waste && waste < best.Waste)
                best = new ChunkSearch(size, waste);
        return best;
    }

    /// <summary>Packs parameters in order. One that is larger than a chunk gets a chunk of its own.</summary>
    public static IReadOnlyList<IReadOnlyList<ParameterSlot>> Pack(IReadOnlyList<ParameterSlot> slots, long size)
    {
        var chunks = new List<List<ParameterSlot>>();
        var room = 0L;
        foreach (var slot in slots)
        {
            var length = LengthOf(slot);
            if (length > room || chunks[^1][0].Value.dtype != slot.Value.dtype)
            {
                chunks.Add([]);
                room = Math.Max(size, length);
            }

            chunks[^1].Add(slot);
            room -= length;
        }

        return chunks;
    }

    /// <summary>Elements of a parameter.</summary>
    public static long LengthOf(ParameterSlot slot) => slot.Shape.Aggregate(1L, (product, size) => product * size);

    private static long WasteOf(IReadOnlyList<long> lengths, long size)
    {
        var (waste, room) = (0L, 0L);
        foreach (var length in lengths)
        {
            if (length > room)
            {
                waste += room;
                room = Math.Max(size, length);
            }

            room -= length;
        }

        return waste + room;
    }

    private static long RoundUp(long value) => (value + Interval - 1) / Interval * Interval;
}
