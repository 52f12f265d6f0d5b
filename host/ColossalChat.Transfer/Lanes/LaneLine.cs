using System.Buffers.Binary;

namespace ColossalChat.Transfer;

/// <summary>A connection between two lanes: frames of 1 byte kind, 4 bytes length, content. One thread uses it at a time.</summary>
internal sealed class LaneLine(Wire wire) : IDisposable
{
    /// <summary>Longest frame but chunks, bytes.</summary>
    public const int LongestWords = 512;

    private const int HeadLength = 5;
    private readonly byte[] _words = new byte[LongestWords];

    public Wire Wire => wire;

    /// <summary>Sends a short frame.</summary>
    /// <exception cref="IOException">The other end is gone, or does not take it in time.</exception>
    public void Send(FrameKind kind, ReadOnlySpan<byte> content, TimeSpan longest)
    {
        Span<byte> frame = stackalloc byte[HeadLength + content.Length];
        frame[0] = (byte)kind;
        BinaryPrimitives.WriteInt32LittleEndian(frame[1..], content.Length);
        content.CopyTo(frame[HeadLength..]);
        if (!wire.SendAll(frame, new Deadline(longest)))
            throw new IOException($"The other end of a lane did not take {kind} within {longest}, or is gone.");
    }

    /// <summary>Sends what stands before a chunk's bytes.</summary>
    public void SendChunkHead(ulong hash, int length, TimeSpan longest)
    {
        Span<byte> frame = stackalloc byte[HeadLength + sizeof(ulong)];
        frame[0] = (byte)FrameKind.Chunk;
        BinaryPrimitives.WriteInt32LittleEndian(frame[1..], sizeof(ulong) + length);
        BinaryPrimitives.WriteUInt64LittleEndian(frame[HeadLength..], hash);
        if (!wire.SendAll(frame, new Deadline(longest)))
            throw new IOException($"The other end of a lane did not take a chunk's head within {longest}, or is gone.");
    }

    /// <summary>The next frame's kind and length, which is bounded by what its kind may have.</summary>
    /// <exception cref="IOException">Nothing came in time, the other end is gone, or talks nonsense.</exception>
    public (FrameKind Kind, int Length) ReceiveHead(TimeSpan longest, CancellationToken cancel)
    {
        Span<byte> head = stackalloc byte[HeadLength];
        Receive(head, longest, renew: false, cancel);
        var (kind, length) = ((FrameKind)head[0], BinaryPrimitives.ReadInt32LittleEndian(head[1..]));
        var most = kind == FrameKind.Chunk ? BlobFile.ChunkLength + sizeof(ulong) : Enum.IsDefined(kind) ? LongestWords : -1;
        if (length < 0 || length > most)
            throw new IOException($"The other end of a lane sent a frame of kind {(int)kind} with {length} bytes; at most {most} are allowed.");
        return (kind, length);
    }

    /// <summary>Content of a short frame; valid until the next.</summary>
    public ReadOnlySpan<byte> ReceiveWords(int length, TimeSpan longest, CancellationToken cancel)
    {
        var words = _words.AsSpan(0, length);
        Receive(words, longest, renew: false, cancel);
        return words;
    }

    /// <summary>The hash before a chunk's bytes.</summary>
    public ulong ReceiveHash(TimeSpan longest, CancellationToken cancel) => BinaryPrimitives.ReadUInt64LittleEndian(ReceiveWords(sizeof(ulong), longest, cancel));

    /// <summary>Fills a span; any progress begins a new wait.</summary>
    public void ReceiveBytes(Span<byte> bytes, TimeSpan silence, CancellationToken cancel) => Receive(bytes, silence, renew: true, cancel);

    /// <inheritdoc/>
    public void Dispose() => wire.Dispose();

    private void Receive(Span<byte> bytes, TimeSpan longest, bool renew, CancellationToken cancel)
    {
        var deadline = new Deadline(longest);
        while (bytes.Length > 0)
        {
            cancel.ThrowIfCancellationRequested();
            // Asked before looking: a process that was off its core past the deadline still sees what came meanwhile.
            var isLastLook = deadline.HasPassed;
            var step = wire.Receive(bytes, deadline.Milliseconds(SocketBytes.LongestWait), out var received);
            if (step == SocketStep.Closed)
                throw new IOException("The other end of a lane has closed the connection.");
            if (step == SocketStep.Waited && isLastLook)
                throw new IOException($"The other end of a lane was silent for {longest}.");
            bytes = bytes[received..];
            if (renew && received > 0)
                deadline = new Deadline(longest);
        }
    }
}
