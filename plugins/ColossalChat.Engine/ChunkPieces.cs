using ColossalChat.Contracts.Torch;

namespace ColossalChat.Engine;

/// <summary>The part of a parameter that lies in a rank's shard.</summary>
/// <param name="InSlot">First element within the parameter.</param>
/// <param name="InShard">First element within the shard.</param>
/// <param name="Length">Elements, 1 or more.</param>
internal readonly record struct ChunkPiece(long InSlot, long InShard, long Length);

/// <summary>Cuts shards at the borders of parameters.</summary>
internal static class ChunkPieces
{
    /// <summary>All parameters that a chunk's shard holds something of.</summary>
    public static IEnumerable<(ParameterSlot Slot, ChunkPiece Piece)> Of(IShardedChunk chunk)
    {
        var (range, offset) = (chunk.Range, 0L);
        foreach (var slot in chunk.Slots)
        {
            var length = slot.Shape.Aggregate(1L, (product, size) => product * size);
            var (from, to) = (Math.Max(offset, range.Start), Math.Min(offset + length, range.End));
            if (from < to)
                yield return (slot, new ChunkPiece(from - offset, from - range.Start, to - from));
            offset += length;
        }
    }

    /// <summary>Runs of a shard that all decay or all do not: matrices do, vectors do not.</summary>
    public static IEnumerable<(long Start, long Length, bool Decays)> Runs(IShardedChunk chunk)
    {
        var run = (Start: 0L, Length: 0L, Decays: false);
        foreach (var (slot, piece) in Of(chunk))
        {
            var decays = slot.Shape.Count >= 2;
            if (run.Length > 0 && decays == run.Decays)
            {
                run.Length += piece.Length;
                continue;
            }

            if (run.Length > 0)
                yield return run;
            run = (piece.InShard, piece.Length, decays);
        }

        if (run.Length > 0)
            yield return run;
    }
}
