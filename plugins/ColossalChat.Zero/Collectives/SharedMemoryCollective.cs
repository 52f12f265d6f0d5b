using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ColossalChat.Contracts;
using static TorchSharp.torch;

namespace ColossalChat.Zero;

// R = ranks. A piece is what all ranks work on at a time; a part of it belongs to each rank.

/// <summary>
/// Ranks of one machine in several processes: pieces pass through slots in shared memory, small enough to stay in the
/// cache. While one piece is laid out, the one before is summed and the one before that is taken, so ranks seldom wait.
/// </summary>
internal sealed unsafe class SharedMemoryCollective : Collective
{
    /// <summary>Bytes of a rank's part of a piece.</summary>
    public const int PartBytes = 128 << 10;

    /// <summary>Slots of each rank. A piece is laid out two turns before it is taken; one more gives slack.</summary>
    public const int Depth = 4;

    // A look takes microseconds, an operation of this size a hundred of them.
    private const long LargeBytes = 1 << 20;
    private const int LooksApart = 16;

    private readonly ISharedSegment _segment;
    private readonly ProgressBoard _board;
    private readonly Neighbours _neighbours;
    private readonly byte* _slots;
    private long _done;
    private long _large;

    public SharedMemoryCollective(IPeerGroup group, ISharedSegment segment, TimeSpan deadline)
        : base(group, deadline)
    {
        _segment = segment;
        _board = new ProgressBoard(group.Place, segment);
        _neighbours = new Neighbours(group.Place, _board);
        _slots = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(segment.Span(SlotsAt(Ranks), 1)));
    }

    /// <summary>Bytes of the segment.</summary>
    public static long SegmentBytes(int ranks) => SlotsAt(ranks) + ((long)ranks * Depth * ranks * PartBytes);

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        _segment.Dispose();
    }

    /// <inheritdoc/>
    protected override void Carry(CollectiveCall call, Tensor? buffer, Tensor? slice)
    {
        Entry.Pass(_board, Group, call, Look, Fail);
        if (buffer is null || call.Elements == 0)
            return;
        var whole = FlatBuffer.Of(buffer);
        LookAround(whole.Bytes);
        PieceWork work = call.Operation switch
        {
            CollectiveOperation.AllReduce => new AllReducePieces(this, whole),
            CollectiveOperation.ReduceScatter => new ReduceScatterPieces(this, whole, FlatBuffer.Of(slice!)),
            CollectiveOperation.AllGather => new AllGatherPieces(this, whole, FlatBuffer.Of(slice!)),
            _ => new BroadcastPieces(this, whole, call.Root),
        };
        Pipeline(call, work);
    }

    /// <summary>Lays out what another rank needs of this one.</summary>
    public void LayOut(byte* from, long bytes, int peer, long piece) => LayOut(from, bytes, Slot(Rank, peer, piece), _neighbours.IsNear(peer));

    /// <summary>Lays out what all others need of this rank, at one of its places.</summary>
    public void LayOutForAll(byte* from, long bytes, int place, long piece) => LayOut(from, bytes, Slot(Rank, place, piece), _neighbours.AreAllNear);

    /// <summary>Where a rank lays out what it has for another one; its sums lie at its own.</summary>
    public byte* Slot(int from, int to, long piece) =>
        _slots + (((((from * (long)Depth) + ((_done + piece) % Depth)) * Ranks) + to) * PartBytes);

    private static void LayOut(byte* from, long bytes, byte* slot, bool isNear)
    {
        if (isNear)
            Unsafe.CopyBlockUnaligned(slot, from, (uint)bytes);
        else
            StreamedCopy.Run(from, slot, bytes);
    }

    private static long SlotsAt(int ranks) => (ProgressBoard.BytesFor(ranks) + 4095L) / 4096 * 4096;

    private void LookAround(long bytes)
    {
        if (_board.HasCoreForEach && bytes >= LargeBytes && _large++ % LooksApart == 0)
            _neighbours.Measure();
    }

    private void Pipeline(CollectiveCall call, PieceWork work)
    {
        for (var turn = 0L; turn < work.Pieces + 2; turn++)
        {
            if (turn < work.Pieces)
                Write(call, work, turn);
            if (turn >= 1 && turn <= work.Pieces)
                Sum(call, work, turn - 1);
            if (turn >= 2)
                Take(call, work, turn - 2);
        }

        _done += work.Pieces;
    }

    private void Write(CollectiveCall call, PieceWork work, long piece)
    {
        var number = _done + piece + 1;
        Await(call, Progress.Summed, number - Depth);
        work.Write(piece);
        _board.Count(Progress.Written, number);
    }

    private void Sum(CollectiveCall call, PieceWork work, long piece)
    {
        var number = _done + piece + 1;
        Await(call, Progress.Written, number);
        Await(call, Progress.Taken, number - Depth);
        work.Sum(piece);
        _board.Count(Progress.Summed, number);
    }

    private void Take(CollectiveCall call, PieceWork work, long piece)
    {
        var number = _done + piece + 1;
        for (var peer = 0; work.TakesSums && peer < Ranks; peer++)
        {
            if (peer == Rank)
                continue;
            _board.Await(peer, Progress.Summed, number, () => Look(call, () => _board.Behind(Progress.Summed, number)));
            work.Take(piece, peer);
        }

        _board.Count(Progress.Taken, number);
    }

    private void Await(CollectiveCall call, Progress progress, long number) =>
        _board.Await(progress, number, () => Look(call, () => _board.Behind(progress, number)));
}

/// <summary>How an operation over a board begins.</summary>
internal static class Entry
{
    /// <summary>Returns when all ranks have begun the operation, and it is the same for all.</summary>
    public static void Pass(
        ProgressBoard board, IPeerGroup group, CollectiveCall call, Action<CollectiveCall, Func<IReadOnlyList<int>>> look, Func<string, Exception> fail)
    {
        board.Ask(call);
        board.Count(Progress.Begun, call.Sequence);
        board.Await(Progress.Begun, call.Sequence, () => look(call, () => board.Behind(Progress.Begun, call.Sequence)));
        for (var rank = 0; rank < group.Place.Ranks; rank++)
            if (board.Asked(rank, call.Sequence) is var other && other != call)
                throw fail(Breakage.Differs(call, group.Place, rank, other));
    }
}
