namespace ColossalChat.Zero;

/// <summary>
/// Placement by measuring: all states start far, the first step tells how much memory everything else needs at most, and
/// after it the states of as many chunks as fit beside that move near, in model order.
/// </summary>
/// <param name="room">The near memory; states that are far do not count in it.</param>
/// <param name="limit">Bytes of it that may be used.</param>
/// <param name="isWatched">True when it may be read at any time, from a thread of its own.</param>
internal sealed class FirstStepTrace(SharedRoom room, long limit, bool isWatched) : IDisposable
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(2);
    private readonly ManualResetEventSlim _isOver = new();
    private IReadOnlyList<ShardedChunk> _chunks = [];
    private Thread? _watch;
    private long _takenBefore;
    private long _peak;
    private bool _isRunning;
    private bool _isDone;

    /// <summary>Names the chunks, in model order.</summary>
    public void Follow(IReadOnlyList<ShardedChunk> chunks) => (_chunks, _takenBefore) = (chunks, room.Enter());

    /// <summary>A step begins.</summary>
    public void Begin()
    {
        if (_isDone || _isRunning)
            return;
        _isRunning = true;
        if (!isWatched)
            return;
        _watch = new Thread(Watch) { IsBackground = true, Name = "first step's memory" };
        _watch.Start();
    }

    /// <summary>Looks how much is in use.</summary>
    public void Sample()
    {
        if (!_isRunning)
            return;
        var now = room.Used;
        if (now > Volatile.Read(ref _peak))
            Volatile.Write(ref _peak, now);
    }

    /// <summary>A chunk has its update; after the last one the states move.</summary>
    public void End(ShardedChunk chunk)
    {
        if (!_isRunning || !ReferenceEquals(chunk, _chunks[^1]))
            return;
        Sample();
        Stop();
        room.Decide(limit, _peak, _takenBefore, Fill);
    }

    /// <summary>Ends the trace without a decision, if none was made.</summary>
    public void Dispose()
    {
        if (_isDone)
            return;
        Stop();
        room.Leave();
    }

    private long Fill(long bytes)
    {
        var taken = 0L;
        foreach (var chunk in _chunks)
        {
            if (taken + chunk.StateBytes > bytes)
                break;
            taken += chunk.StateBytes;
            chunk.MoveStates(DeviceMemory.Instance);
        }

        return taken;
    }

    private void Stop()
    {
        _isOver.Set();
        _watch?.Join();
        _isOver.Dispose();
        (_isRunning, _isDone) = (false, true);
    }

    private void Watch()
    {
        while (!_isOver.Wait(s_interval))
            Sample();
    }
}
