using System.Runtime.InteropServices;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>Zeroed memory outside the garbage collector, freed when as many users released it as were announced.</summary>
internal sealed unsafe class NativeMemoryBlock
{
    private const int Alignment = 64;
    private int _users;

    public NativeMemoryBlock(long bytes, int users)
    {
        (Bytes, _users) = (bytes, users);
        // Whole lines, which the alignment asks for.
        var size = (nuint)((bytes + Alignment - 1) / Alignment * Alignment);
        Address = (byte*)NativeMemory.AlignedAlloc(size, Alignment);
        NativeMemory.Clear(Address, size);
    }

    // Ranks that never asked never release; their share is freed with the object.
    ~NativeMemoryBlock()
    {
        if (Volatile.Read(ref _users) > 0)
            NativeMemory.AlignedFree(Address);
    }

    public long Bytes { get; }

    public byte* Address { get; }

    public void Release()
    {
        if (Interlocked.Decrement(ref _users) == 0)
            NativeMemory.AlignedFree(Address);
    }
}

/// <summary>One rank's hold on a block.</summary>
internal sealed unsafe class NativeSegment(NativeMemoryBlock block) : ISharedSegment
{
    private int _isDisposed;

    public long Bytes => block.Bytes;

    public Span<byte> Span(long offset, int length)
    {
        ObjectDisposedException.ThrowIf(_isDisposed == 1, this);
        SegmentBounds.Check(offset, length, Bytes);
        return new Span<byte>(block.Address + offset, length);
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
            block.Release();
    }
}

/// <summary>Keeps spans within their segment.</summary>
internal static class SegmentBounds
{
    public static void Check(long offset, int length, long bytes)
    {
        if (offset < 0 || length < 0 || offset > bytes - length)
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"{length} bytes from {offset} do not lie within the segment's {bytes}.");
    }
}
