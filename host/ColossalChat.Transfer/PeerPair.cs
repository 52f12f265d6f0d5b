using System.Diagnostics;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>Two ranks of one process: a bounded pipe in each direction and the segments they share.</summary>
internal sealed class PeerPair
{
    private readonly BytePipe _upward = new();
    private readonly BytePipe _downward = new();
    private readonly Dictionary<string, byte[]> _segments = [];

    public IPeerLink End(string group, int rank, int peer) => rank < peer
        ? new Link(this, group, rank, peer, _upward, _downward)
        : new Link(this, group, rank, peer, _downward, _upward);

    private byte[] Segment(string name, int bytes)
    {
        lock (_segments)
        {
            if (!_segments.TryGetValue(name, out var segment))
                _segments[name] = segment = new byte[bytes];
            if (segment.Length != bytes)
                throw new ArgumentException(
                    $"Segment '{name}' has {segment.Length} bytes at the other end and {bytes} here; both must agree.", nameof(bytes));
            return segment;
        }
    }

    private sealed class Link(PeerPair pair, string group, int rank, int peer, BytePipe outward, BytePipe inward) : IPeerLink
    {
        public int Peer => peer;

        public void Send(ReadOnlySpan<byte> bytes, TimeSpan deadline)
        {
            var sent = outward.Write(bytes, deadline);
            if (sent < bytes.Length)
                throw Broken(outward, $"took {sent} of {bytes.Length} bytes", deadline);
        }

        public void Receive(Span<byte> bytes, TimeSpan deadline)
        {
            var received = inward.Read(bytes, deadline);
            if (received < bytes.Length)
                throw Broken(inward, $"sent {received} of {bytes.Length} bytes", deadline);
        }

        public Memory<byte>? SharedSegment(string name, int bytes) => pair.Segment(name, bytes);

        public void Dispose()
        {
            outward.Close();
            inward.Close();
        }

        private Exception Broken(BytePipe pipe, string what, TimeSpan deadline) => pipe.IsClosed
            ? new IOException($"Group '{group}': the link of rank {rank} to rank {peer} is closed; rank {peer} {what}.")
            : new TimeoutException($"Group '{group}': rank {peer} {what} within {deadline} (seen from rank {rank}).");
    }
}

/// <summary>Ordered bytes from one thread to another through a ring of fixed size.</summary>
internal sealed class BytePipe
{
    private const int Capacity = 1 << 20;
    private readonly object _gate = new();
    private readonly byte[] _ring = new byte[Capacity];
    private int _start;
    private int _filled;

    public bool IsClosed { get; private set; }

    public void Close()
    {
        lock (_gate)
        {
            IsClosed = true;
            Monitor.PulseAll(_gate);
        }
    }

    // Bytes taken: fewer than given when the deadline passed or the pipe was closed.
    public int Write(ReadOnlySpan<byte> bytes, TimeSpan deadline)
    {
        var started = Stopwatch.GetTimestamp();
        var done = 0;
        lock (_gate)
        {
            while (done < bytes.Length)
            {
                if (IsClosed || (_filled == Capacity && !WaitForChange(deadline, started)))
                    return done;
                var end = (_start + _filled) % Capacity;
                var count = Math.Min(bytes.Length - done, Math.Min(Capacity - _filled, Capacity - end));
                bytes.Slice(done, count).CopyTo(_ring.AsSpan(end));
                _filled += count;
                done += count;
                Monitor.PulseAll(_gate);
            }
        }

        return done;
    }

    // Bytes read: fewer than wanted when the deadline passed, or the pipe was closed and is empty.
    public int Read(Span<byte> bytes, TimeSpan deadline)
    {
        var started = Stopwatch.GetTimestamp();
        var done = 0;
        lock (_gate)
        {
            while (done < bytes.Length)
            {
                if (_filled == 0 && (IsClosed || !WaitForChange(deadline, started)))
                    return done;
                var count = Math.Min(bytes.Length - done, Math.Min(_filled, Capacity - _start));
                _ring.AsSpan(_start, count).CopyTo(bytes[done..]);
                _start = (_start + count) % Capacity;
                _filled -= count;
                done += count;
                Monitor.PulseAll(_gate);
            }
        }

        return done;
    }

    // False once the deadline has passed; a pulse without progress just loops.
    private bool WaitForChange(TimeSpan deadline, long started)
    {
        var left = deadline - Stopwatch.GetElapsedTime(started);
        if (left <= TimeSpan.Zero)
            return false;
        Monitor.Wait(_gate, Clock.Milliseconds(left));
        return true;
    }
}

/// <summary>Time spans as the waiting calls want them.</summary>
internal static class Clock
{
    // Rounded up, so that a wait never ends before its deadline and then spins.
    public static int Milliseconds(TimeSpan span) => (int)Math.Min(int.MaxValue - 1, Math.Ceiling(span.TotalMilliseconds));
}
