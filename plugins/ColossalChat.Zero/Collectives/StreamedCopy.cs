using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace ColossalChat.Zero;

/// <summary>
/// Copies that go past the caches to memory. What another core wrote and still holds in its cache comes from there line by
/// line; where the two share no cache that takes four times as long as a stream from memory.
/// </summary>
internal static unsafe class StreamedCopy
{
    /// <summary>Copies; the destination is aligned to 64 bytes, as slots are. What is counted after it returns is seen after the bytes.</summary>
    public static void Run(byte* from, byte* to, long bytes)
    {
        long width = Vector512<byte>.Count;
        var i = 0L;
        for (; i <= bytes - width; i += width)
            Vector512.Load(from + i).StoreAlignedNonTemporal(to + i);
        Unsafe.CopyBlockUnaligned(to + i, from + i, (uint)(bytes - i));
        // Stores past the caches are not ordered with those that follow.
        Interlocked.MemoryBarrier();
    }
}
