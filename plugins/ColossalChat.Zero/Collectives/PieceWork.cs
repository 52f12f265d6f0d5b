using System.Runtime.CompilerServices;

namespace ColossalChat.Zero;

// n = elements, R = ranks.

/// <summary>What one operation does with each piece.</summary>
internal abstract unsafe class PieceWork(SharedMemoryCollective owner)
{
    /// <summary>How many pieces there are.</summary>
    public abstract long Pieces { get; }

    /// <summary>True when the ranks' sums, or own parts, are taken by the others.</summary>
    public virtual bool TakesSums => true;

    protected SharedMemoryCollective Owner => owner;

    protected int Rank => owner.Rank;

    protected int Ranks => owner.Ranks;

    /// <summary>Lays out what others need of this rank.</summary>
    public virtual void Write(long piece)
    {
    }

    /// <summary>Makes this rank's own part, for itself and at its own slot.</summary>
    public virtual void Sum(long piece)
    {
    }

    /// <summary>Takes another rank's part.</summary>
    public virtual void Take(long piece, int peer)
    {
    }

    protected static void Copy(byte* from, byte* to, long bytes) => Unsafe.CopyBlockUnaligned(to, from, (uint)bytes);

    protected static long PiecesOf(long elements, int size) => Math.Max(1, (elements + PartElements(size) - 1) / PartElements(size));

    protected static long PartElements(int size) => SharedMemoryCollective.PartBytes / size;

    /// <summary>Sums own and laid-out elements in rank order.</summary>
    protected void SumParts(byte* own, long piece, ElementKind kind, byte* destination, ElementKind destinationKind, long elements)
    {
        var sources = stackalloc byte*[Ranks];
        for (var rank = 0; rank < Ranks; rank++)
            sources[rank] = rank == Rank ? own : Owner.Slot(rank, Rank, piece);
        Summation.Add(sources, Ranks, kind, destination, destinationKind, elements);
    }
}

/// <summary>[n] summed in place.</summary>
internal sealed unsafe class AllReducePieces(SharedMemoryCollective owner, FlatBuffer buffer) : PieceWork(owner)
{
    private const int LineBytes = 64;

    public override long Pieces { get; } = PiecesOf((buffer.Elements + owner.Ranks - 1) / owner.Ranks, buffer.Size);

    public override void Write(long piece)
    {
        for (var peer = 0; peer < Ranks; peer++)
            if (peer != Rank && Part(piece, peer) is var (start, count) && count > 0)
                Owner.LayOut(buffer.At(start), count * buffer.Size, peer, piece);
    }

    public override void Sum(long piece)
    {
        var (start, count) = Part(piece, Rank);
        if (count == 0)
            return;
        SumParts(buffer.At(start), piece, buffer.Kind, buffer.At(start), buffer.Kind, count);
        Owner.LayOutForAll(buffer.At(start), count * buffer.Size, Rank, piece);
    }

    public override void Take(long piece, int peer)
    {
        var (start, count) = Part(piece, peer);
        if (count > 0)
            Copy(Owner.Slot(peer, peer, piece), buffer.At(start), count * buffer.Size);
    }

    // Parts end at cache lines, except the last: no line is written by two ranks.
    private (long Start, long Count) Part(long piece, int rank)
    {
        var whole = PartElements(buffer.Size) * Ranks;
        var start = piece * whole;
        var length = Math.Min(whole, buffer.Elements - start);
        long line = LineBytes / buffer.Size;
        var part = (((length + Ranks - 1) / Ranks) + line - 1) / line * line;
        var from = Math.Min(length, rank * part);
        return (start + from, Math.Min(length, from + part) - from);
    }
}

/// <summary>[n] summed, [n / R] kept.</summary>
internal sealed unsafe class ReduceScatterPieces(SharedMemoryCollective owner, FlatBuffer buffer, FlatBuffer slice) : PieceWork(owner)
{
    public override long Pieces { get; } = PiecesOf(slice.Elements, buffer.Size);

    public override bool TakesSums => false;

    public override void Write(long piece)
    {
        var (start, count) = Part(piece);
        for (var peer = 0; peer < Ranks; peer++)
            if (peer != Rank)
                Owner.LayOut(buffer.At((peer * slice.Elements) + start), count * buffer.Size, peer, piece);
    }

    public override void Sum(long piece)
    {
        var (start, count) = Part(piece);
        SumParts(buffer.At((Rank * slice.Elements) + start), piece, buffer.Kind, slice.At(start), slice.Kind, count);
    }

    private (long Start, long Count) Part(long piece)
    {
        var start = piece * PartElements(buffer.Size);
        return (start, Math.Min(PartElements(buffer.Size), slice.Elements - start));
    }
}

/// <summary>[n / R] of each rank joined to [n].</summary>
internal sealed unsafe class AllGatherPieces(SharedMemoryCollective owner, FlatBuffer buffer, FlatBuffer slice) : PieceWork(owner)
{
    public override long Pieces { get; } = PiecesOf(slice.Elements, buffer.Size);

    public override void Sum(long piece)
    {
        var (start, count) = Part(piece);
        Owner.LayOutForAll(slice.At(start), count * slice.Size, Rank, piece);
        var own = buffer.At((Rank * slice.Elements) + start);
        if (own != slice.At(start))
            Copy(slice.At(start), own, count * slice.Size);
    }

    public override void Take(long piece, int peer)
    {
        var (start, count) = Part(piece);
        Copy(Owner.Slot(peer, peer, piece), buffer.At((peer * slice.Elements) + start), count * slice.Size);
    }

    private (long Start, long Count) Part(long piece)
    {
        var start = piece * PartElements(slice.Size);
        return (start, Math.Min(PartElements(slice.Size), slice.Elements - start));
    }
}

/// <summary>[n] of one rank copied to all. A piece fills all parts of the root's slot.</summary>
internal sealed unsafe class BroadcastPieces(SharedMemoryCollective owner, FlatBuffer buffer, int root) : PieceWork(owner)
{
    public override long Pieces { get; } = PiecesOf((buffer.Elements + owner.Ranks - 1) / owner.Ranks, buffer.Size);

    public override void Sum(long piece)
    {
        var (start, count) = Whole(piece);
        if (Rank == root)
            Owner.LayOutForAll(buffer.At(start), count * buffer.Size, 0, piece);
    }

    public override void Take(long piece, int peer)
    {
        var (start, count) = Whole(piece);
        if (peer == root)
            Copy(Owner.Slot(root, 0, piece), buffer.At(start), count * buffer.Size);
    }

    private (long Start, long Count) Whole(long piece)
    {
        var whole = PartElements(buffer.Size) * Ranks;
        return (piece * whole, Math.Min(whole, buffer.Elements - (piece * whole)));
    }
}
