namespace ColossalChat.Zero;

/// <summary>Sends while its owner receives. One piece of work at a time; lives as long as its collective.</summary>
internal sealed class SendingThread : IDisposable
{
    private readonly SemaphoreSlim _start = new(0);
    private readonly SemaphoreSlim _go = new(0);
    private readonly ManualResetEventSlim _isIdle = new(true);
    private Action? _work;
    private Exception? _error;
    private volatile bool _isStopped;

    public SendingThread(string name) => new Thread(Run) { IsBackground = true, Name = name }.Start();

    public void Start(Action work)
    {
        (_work, _error) = (work, null);
        // Left over from a failed operation.
        while (_go.Wait(0))
            _error = null;
        _isIdle.Reset();
        _start.Release();
    }

    /// <summary>Lets the sender go one piece further.</summary>
    public void Go() => _go.Release();

    /// <summary>The sender waits here for <see cref="Go"/>.</summary>
    /// <exception cref="TimeoutException">Not within what is left; the receiving side failed or is late.</exception>
    public void AwaitGo(TimeSpan left)
    {
        if (!_go.Wait(left) || _isStopped)
            throw new TimeoutException("the pieces to be sent on did not arrive in time.");
    }

    /// <summary>Waits until the work has ended, and throws what it threw unless the owner already fails.</summary>
    public void Finish(bool isFailed)
    {
        if (isFailed)
        {
            // Wakes a sender that waits for pieces that never come; its next link call fails, because the group is broken.
            _go.Release(short.MaxValue);
        }

        _isIdle.Wait(Timeout.InfiniteTimeSpan);
        if (!isFailed && _error is { } error)
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(error);
    }

    public void Dispose()
    {
        _isStopped = true;
        _start.Release();
    }

    private void Run()
    {
        while (true)
        {
            _start.Wait(Timeout.InfiniteTimeSpan);
            if (_isStopped)
                return;
            try
            {
                _work!();
            }
            catch (Exception error)
            {
                _error = error;
            }

            _isIdle.Set();
        }
    }
}
