using System.Buffers.Binary;
using System.Net.Sockets;

namespace ColossalChat.Transfer;

/// <summary>Thrown into TLS when a record is not complete; what it has so far stays.</summary>
internal sealed class RecordIncompleteException() : IOException("A TLS record is not complete yet.");

/// <summary>
/// The encrypted side of a connection, between a non-blocking socket and an <see cref="System.Net.Security.SslStream"/>. It
/// hands out one whole record at a time, so that TLS never waits inside, and takes everything that TLS writes; what the
/// socket does not take at once stays here, at most a few records.
/// </summary>
internal sealed class RecordStream(Socket socket) : Stream
{
    private const int HeadLength = 5;
    private const int Capacity = 1 << 16;
    private readonly Lock _gate = new();
    private readonly byte[] _incoming = new byte[Capacity];
    private byte[] _outgoing = new byte[Capacity];
    private int _start;
    private int _end;
    private int _rest;
    private int _outStart;
    private int _outEnd;

    /// <summary>While set, reading and writing wait until then.</summary>
    public Deadline? Waits { get; set; }

    /// <summary>True when a read does not have to wait: a whole record, or more than any record may have.</summary>
    public bool HasRecord => _rest > 0 || (RecordLength is { } length && (_end - _start >= length || length > Capacity));

    /// <summary>True while the socket has not taken all.</summary>
    public bool HasOutgoing
    {
        get
        {
            lock (_gate)
                return _outEnd > _outStart;
        }
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    private int? RecordLength => _end - _start >= HeadLength ? HeadLength + BinaryPrimitives.ReadUInt16BigEndian(_incoming.AsSpan(_start + 3)) : null;

    /// <summary>Takes what the socket has.</summary>
    public SocketStep Fill(int milliseconds)
    {
        if (_start > 0)
        {
            _incoming.AsSpan(_start, _end - _start).CopyTo(_incoming);
            (_start, _end) = (0, _end - _start);
        }

        var step = SocketBytes.Receive(socket, _incoming.AsSpan(_end), milliseconds, out var received);
        _end += received;
        return step;
    }

    /// <summary>Gives the socket what it takes; <see cref="SocketStep.Moved"/> when it took any.</summary>
    public SocketStep Drain(int milliseconds)
    {
        lock (_gate)
        {
            var moved = SocketStep.Waited;
            while (_outEnd > _outStart)
            {
                var step = SocketBytes.Send(socket, _outgoing.AsSpan(_outStart, _outEnd - _outStart), moved == SocketStep.Moved ? 0 : milliseconds, out var sent);
                _outStart += sent;
                if (step != SocketStep.Moved)
                    return step == SocketStep.Closed ? step : moved;
                moved = step;
            }

            (_outStart, _outEnd) = (0, 0);
            return SocketStep.Moved;
        }
    }

    public override int Read(Span<byte> buffer)
    {
        while (!HasRecord)
        {
            if (Waits is not { } deadline)
                throw new RecordIncompleteException();
            var step = Fill(deadline.Milliseconds(SocketBytes.LongestWait));
            if (step == SocketStep.Closed)
                return 0;
            // Whether something came or not: who sends a byte now and then gets no more time.
            if (deadline.HasPassed)
                throw new IOException($"The other end did not finish its TLS greeting within {deadline.Span}.");
        }

        // Never beyond the record: what TLS has not, it need not be asked for.
        if (_rest == 0)
            _rest = RecordLength!.Value;
        var count = Math.Min(buffer.Length, Math.Min(_rest, _end - _start));
        _incoming.AsSpan(_start, count).CopyTo(buffer);
        _start += count;
        _rest -= count;
        return count;
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        lock (_gate)
        {
            if (_outgoing.Length - _outEnd < buffer.Length)
                Array.Resize(ref _outgoing, _outEnd + buffer.Length);
            buffer.CopyTo(_outgoing.AsSpan(_outEnd));
            _outEnd += buffer.Length;
        }

        while (Waits is { } deadline && HasOutgoing)
        {
            var step = Drain(deadline.Milliseconds(SocketBytes.LongestWait));
            if (step == SocketStep.Closed || (step == SocketStep.Waited && deadline.HasPassed))
                throw new IOException($"The other end did not take our TLS greeting within {deadline.Span}, or is gone.");
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
        // Drain does.
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
