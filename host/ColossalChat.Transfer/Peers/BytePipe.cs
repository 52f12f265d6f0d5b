namespace ColossalChat.Transfer;

/// <summary>Ordered bytes from one thread to another through a ring of fixed size.</summary>
internal sealed class BytePipe
{
    private const int Capacity = 1 << 20;
    private readonly object _gate = new();
    // Made at the first write: in a group of many ranks most pairs never talk.
    private byte[] _ring = [];
    private int _start;
    private int _filled;
    private bool _isBroken;

    public bool IsClosed { get; private set; }

    /// <summary>No more bytes come; those already written can still be read.</summary>
    public void Close()
    {
        lock (_gate)
        {
            IsClosed = true;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Ends all waiting at once; what was written is lost.</summary>
    public void Break()
    {
        lock (_gate)
        {
            _isBroken = true;
            _filled = 0;
            IsClosed = true;
            Monitor.PulseAll(_gate);
        }
    }

    // Bytes taken: fewer than given when the deadline passed or the pipe was closed.
    public int Write(ReadOnlySpan<byte> bytes, Deadline deadline)
    {
        var done = 0;
        lock (_gate)
        {
            if (_ring.Length == 0)
                _ring = GC.AllocateUninitializedArray<byte>(Capacity);
            while (done < bytes.Length)
            {
                if (IsClosed || (_filled == Capacity && !WaitForChange(deadline)))
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
    public int Read(Span<byte> bytes, Deadline deadline)
    {
        var done = 0;
        lock (_gate)
        {
            while (done < bytes.Length)
            {
                if (_isBroken || (_filled == 0 && (IsClosed || !WaitForChange(deadline))))
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
    private bool WaitForChange(Deadline deadline)
    {
        if (deadline.HasPassed)
            return false;
        Monitor.Wait(_gate, deadline.Milliseconds());
        return true;
    }
}
