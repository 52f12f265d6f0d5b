using System.Runtime.InteropServices;
using ColossalChat.Contracts;
using static TorchSharp.torch;

namespace ColossalChat.Zero;

// R = ranks, r = this rank, k = 1 to R - 1: the step round the ring.

/// <summary>
/// Ranks anywhere, over links. At step k a rank sends to the k-th next and receives from the k-th before, on two threads,
/// piece by piece. Each rank sums one part of every piece in rank order, exactly as in shared memory, and each byte travels
/// as often as in a classic ring: 2 (R - 1) / R of the buffer in either direction for an all-reduce.
/// </summary>
internal sealed unsafe class RingCollective : Collective
{
    // Bytes of a piece, a part of it for each rank. Long parts keep sender and receiver from waking each other for every few
    // packets, which cost half the bandwidth of two ranks on one machine.
    private const int PieceBytes = 8 << 20;

    // Pieces between sending parts out and sending their sums.
    private const int Lag = 1;
    private readonly int _partBytes;
    private readonly IPeerLink?[] _links;
    private readonly SendingThread _sending;
    private readonly byte[] _staging;
    private CollectiveCall _call;

    public RingCollective(IPeerGroup group, TimeSpan deadline)
        : base(group, deadline)
    {
        _links = [.. Enumerable.Range(0, Ranks).Select(peer => peer == Rank ? null : group.LinkTo(peer))];
        _sending = new SendingThread($"{group.Place.Group} {Rank} sends");
        _partBytes = PieceBytes / Ranks / sizeof(long) * sizeof(long);
        _staging = GC.AllocateUninitializedArray<byte>(_partBytes * (Ranks - 1), pinned: true);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _sending.Dispose();
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override void Carry(CollectiveCall call, Tensor? buffer, Tensor? slice)
    {
        _call = call;
        Comparison.Exchange(_links, call, () => Left, Fail, Group.Place, missing => Look(call, () => missing));
        if (buffer is null || call.Elements == 0)
            return;
        var whole = FlatBuffer.Of(buffer);
        var own = FlatBuffer.Of(slice!);
        var shares = new RingShares(whole.Elements, _partBytes / whole.Size, Ranks, call.Operation == CollectiveOperation.AllReduce);
        switch (call.Operation)
        {
            case CollectiveOperation.AllReduce:
                Both(() => SendAllReduce(whole, shares), () => ReceiveAllReduce(whole, shares));
                break;
            case CollectiveOperation.ReduceScatter:
                Both(() => Each(shares, piece => SendParts(whole, shares, piece)), () => Each(shares, piece => ReceiveSum(whole, own, shares, piece)));
                break;
            case CollectiveOperation.AllGather:
                Both(() => Each(shares, piece => SendOwn(own, piece * shares.PartElements, shares.Of(piece, Rank).Count)), () => ReceiveOwn(whole, own, shares));
                break;
            default:
                Broadcast(whole, call.Root);
                break;
        }
    }

    private static void Each(RingShares shares, Action<long> work)
    {
        for (var piece = 0L; piece < shares.Pieces; piece++)
            work(piece);
    }

    private void SendAllReduce(FlatBuffer buffer, RingShares shares)
    {
        for (var turn = 0L; turn < shares.Pieces + Lag; turn++)
        {
            if (turn < shares.Pieces)
                SendParts(buffer, shares, turn);
            if (turn < Lag)
                continue;
            _sending.AwaitGo(Left);
            var (start, count) = shares.Of(turn - Lag, Rank);
            SendOwn(buffer, start, count);
        }
    }

    private void ReceiveAllReduce(FlatBuffer buffer, RingShares shares)
    {
        for (var turn = 0L; turn < shares.Pieces + Lag; turn++)
        {
            if (turn < shares.Pieces)
            {
                ReceiveSum(buffer, buffer, shares, turn);
                _sending.Go();
            }

            for (var k = 1; turn >= Lag && k < Ranks; k++)
            {
                var peer = Before(k);
                var (start, count) = shares.Of(turn - Lag, peer);
                _links[peer]!.Receive(Span(buffer, start, count), Left);
            }
        }
    }

    private void SendParts(FlatBuffer buffer, RingShares shares, long piece)
    {
        for (var k = 1; k < Ranks; k++)
        {
            var (start, count) = shares.Of(piece, Next(k));
            _links[Next(k)]!.Send(Span(buffer, start, count), Left);
        }
    }

    private void SendOwn(FlatBuffer buffer, long start, long count)
    {
        for (var k = 1; k < Ranks; k++)
            _links[Next(k)]!.Send(Span(buffer, start, count), Left);
    }

    private void ReceiveOwn(FlatBuffer buffer, FlatBuffer own, RingShares shares)
    {
        if (buffer.At(Rank * own.Elements) is var place && place != own.Address)
            Buffer.MemoryCopy(own.Address, place, own.Bytes, own.Bytes);
        for (var piece = 0L; piece < shares.Pieces; piece++)
        {
            for (var k = 1; k < Ranks; k++)
            {
                var (start, count) = shares.Of(piece, Before(k));
                _links[Before(k)]!.Receive(Span(buffer, start, count), Left);
            }
        }
    }

    // Into the buffer itself for an all-reduce, else into the slice, which begins where this rank's share does.
    private void ReceiveSum(FlatBuffer buffer, FlatBuffer destination, RingShares shares, long piece)
    {
        var (start, count) = shares.Of(piece, Rank);
        var staging = (byte*)Marshal.UnsafeAddrOfPinnedArrayElement(_staging, 0);
        var sources = stackalloc byte*[Ranks];
        for (var k = 1; k < Ranks; k++)
        {
            sources[Before(k)] = staging + ((k - 1) * (long)_partBytes);
            _links[Before(k)]!.Receive(new Span<byte>(sources[Before(k)], (int)(count * buffer.Size)), Left);
        }

        sources[Rank] = buffer.At(start);
        var to = shares.IsInterleaved ? start : piece * shares.PartElements;
        Summation.Add(sources, Ranks, buffer.Kind, destination.At(to), destination.Kind, count);
    }

    // A chain: each rank hands on what it has, so every link carries the buffer once.
    private void Broadcast(FlatBuffer buffer, int root)
    {
        var part = _partBytes / buffer.Size;
        var pieces = (buffer.Elements + part - 1) / part;
        var isLast = Next(1) == root;
        Span<byte> Piece(long piece) => Span(buffer, piece * part, Math.Min(part, buffer.Elements - (piece * part)));
        Both(
            () =>
            {
                for (var piece = 0L; piece < pieces && !isLast; piece++)
                {
                    if (Rank != root)
                        _sending.AwaitGo(Left);
                    _links[Next(1)]!.Send(Piece(piece), Left);
                }
            },
            () =>
            {
                for (var piece = 0L; piece < pieces && Rank != root; piece++)
                {
                    _links[Before(1)]!.Receive(Piece(piece), Left);
                    if (!isLast)
                        _sending.Go();
                }
            });
    }

    private static Span<byte> Span(FlatBuffer buffer, long start, long count) => new(buffer.At(start), (int)(count * buffer.Size));

    private int Next(int k) => (Rank + k) % Ranks;

    private int Before(int k) => (Rank - k + Ranks) % Ranks;

    // Whichever side fails breaks the group, so that the other side, here and elsewhere, ends soon too.
    private void Both(Action send, Action receive)
    {
        _sending.Start(() => BreakingOnError(send));
        try
        {
            BreakingOnError(receive);
        }
        catch
        {
            _sending.Finish(isFailed: true);
            throw;
        }

        _sending.Finish(isFailed: false);
    }

    private void BreakingOnError(Action work)
    {
        try
        {
            work();
        }
        catch (Exception error) when (error is IOException or TimeoutException)
        {
            throw Fail(error is TimeoutException ? Breakage.Stalled(_call, Group.Place, error.Message)
                : Group.Gone is { Count: > 0 } gone ? Breakage.IsGone(_call, Group.Place, gone)
                : error.Message);
        }
    }
}

/// <summary>Which elements of each piece belong to which rank.</summary>
/// <param name="elements">Of the buffer.</param>
/// <param name="partElements">Most of one part.</param>
/// <param name="ranks">How many parts a piece has.</param>
/// <param name="isInterleaved">True when pieces follow each other through the buffer, each with a part for every rank; else each rank's parts make up its own slice.</param>
internal readonly struct RingShares(long elements, long partElements, int ranks, bool isInterleaved)
{
    public bool IsInterleaved => isInterleaved;

    public long PartElements => partElements;

    private long Largest => (elements + ranks - 1) / ranks;

    public long Pieces => (Largest + partElements - 1) / partElements;

    public (long Start, long Count) Of(long piece, int rank)
    {
        if (!isInterleaved)
        {
            var slice = elements / ranks;
            return ((rank * slice) + (piece * partElements), Math.Min(partElements, slice - (piece * partElements)));
        }

        var start = piece * partElements * ranks;
        var length = Math.Min(partElements * ranks, elements - start);
        var part = (length + ranks - 1) / ranks;
        var from = Math.Min(length, rank * part);
        return (start + from, Math.Min(length, from + part) - from);
    }
}
