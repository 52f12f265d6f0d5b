using ColossalChat.Contracts;
using static TorchSharp.torch;

namespace ColossalChat.Zero;

// R = ranks.

/// <summary>
/// Ranks that are threads of one process: each shows where its buffers lie, then works on all buffers at once, so nothing
/// is copied on the way. A rank touches only its own part of the buffers until all are done.
/// </summary>
internal sealed unsafe class AddressSpaceCollective : Collective
{
    // Small enough for the innermost cache, with a part of each rank's buffer.
    private const int BlockBytes = 8 << 10;
    private readonly ISharedSegment _segment;
    private readonly ProgressBoard _board;

    public AddressSpaceCollective(IPeerGroup group, ISharedSegment segment, TimeSpan deadline)
        : base(group, deadline) => (_segment, _board) = (segment, new ProgressBoard(group.Place, segment));

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        _segment.Dispose();
    }

    /// <inheritdoc/>
    protected override void Carry(CollectiveCall call, Tensor? buffer, Tensor? slice)
    {
        var whole = buffer is null ? default : FlatBuffer.Of(buffer);
        var own = slice is null ? default : FlatBuffer.Of(slice);
        _board.Show(whole.Address, own.Address);
        try
        {
            Work(call, whole, own);
        }
        catch
        {
            LetOthersLeave(call);
            throw;
        }

        _board.Count(Progress.Left, call.Sequence);
    }

    private void Work(CollectiveCall call, FlatBuffer whole, FlatBuffer own)
    {
        Entry.Pass(_board, Group, call, Look, Fail);
        if (Group.BrokenBy is { } reason)
            throw Breakage.From(reason);
        if (call.Elements == 0)
            return;
        switch (call.Operation)
        {
            case CollectiveOperation.AllReduce:
                AllReduce(whole);
                break;
            case CollectiveOperation.ReduceScatter:
                Reduce(whole, Rank * own.Elements, own, 0, own.Elements);
                break;
            case CollectiveOperation.AllGather:
                AllGather(whole, own);
                break;
            default:
                if (Rank != call.Root)
                    Copy(_board.ShownFirst(call.Root), whole.Address, whole.Bytes);
                break;
        }

        // Nobody may use a buffer again while another rank still works in it.
        _board.Count(Progress.Taken, call.Sequence);
        _board.Await(Progress.Taken, call.Sequence, () => Look(call, () => _board.Behind(Progress.Taken, call.Sequence)));
    }

    // The group is broken, and whoever gets the failure may free the buffers that others still work in. A rank that begins from
    // here on sees that the group is broken before it touches them.
    private void LetOthersLeave(CollectiveCall call)
    {
        _board.Count(Progress.Left, call.Sequence);
        var absent = _board.Behind(Progress.Begun, call.Sequence);
        for (var rank = 0; rank < Ranks; rank++)
            if (!absent.Contains(rank))
                _board.Await(rank, Progress.Left, call.Sequence, static () => { });
    }

    private static void Copy(byte* from, byte* to, long bytes)
    {
        if (from != to)
            Buffer.MemoryCopy(from, to, bytes, bytes);
    }

    private void AllReduce(FlatBuffer buffer)
    {
        // Parts end at cache lines, so that no line is written by two ranks.
        long line = 64 / buffer.Size;
        var part = (((buffer.Elements + Ranks - 1) / Ranks) + line - 1) / line * line;
        var (start, end) = (Math.Min(buffer.Elements, Rank * part), Math.Min(buffer.Elements, (Rank + 1) * part));
        long block = BlockBytes / buffer.Size;
        for (var at = start; at < end; at += block)
        {
            var count = Math.Min(block, end - at);
            Reduce(buffer, at, buffer, at, count);
            for (var peer = 0; peer < Ranks; peer++)
                if (peer != Rank)
                    Copy(buffer.At(at), _board.ShownFirst(peer) + (at * buffer.Size), count * buffer.Size);
        }
    }

    private void Reduce(FlatBuffer buffer, long from, FlatBuffer destination, long to, long elements)
    {
        var sources = stackalloc byte*[Ranks];
        for (var rank = 0; rank < Ranks; rank++)
            sources[rank] = _board.ShownFirst(rank) + (from * buffer.Size);
        Summation.Add(sources, Ranks, buffer.Kind, destination.At(to), destination.Kind, elements);
    }

    private void AllGather(FlatBuffer buffer, FlatBuffer slice)
    {
        for (var rank = 0; rank < Ranks; rank++)
            Copy(_board.ShownSecond(rank), buffer.At(rank * slice.Elements), slice.Bytes);
    }
}
