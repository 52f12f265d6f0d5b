using System.Runtime.ExceptionServices;

namespace ColossalChat.Host.Runs;

/// <summary>A call that may never return, on a thread of its own.</summary>
/// <param name="call">What is called.</param>
/// <param name="tooLate">Gets a result that came after the limit.</param>
internal sealed class LimitedCall<T>(Func<T> call, Action<T> tooLate)
    where T : class
{
    private readonly Lock _lock = new();
    private T? _result;
    private Exception? _error;
    private bool _isGivenUp;

    /// <summary>Calls it, and throws what it throws.</summary>
    /// <param name="limit">How long to wait for it.</param>
    /// <param name="name">Of the thread.</param>
    /// <returns>Its result; null when there was none within the limit, and the thread is lost.</returns>
    public T? Within(TimeSpan limit, string name)
    {
        var thread = new Thread(Run) { IsBackground = true, Name = name };
        thread.Start();
        thread.Join(limit);
        lock (_lock)
        {
            _isGivenUp = _result is null && _error is null;
            if (_error is not null)
                ExceptionDispatchInfo.Throw(_error);
            return _result;
        }
    }

    private void Run()
    {
        try
        {
            var result = call();
            lock (_lock)
            {
                if (!_isGivenUp)
                {
                    _result = result;
                    return;
                }
            }

            tooLate(result);
        }
        catch (Exception error)
        {
            // Whoever waits throws it; after the limit nobody does, and it must not end the process.
            lock (_lock)
                _error = error;
        }
    }
}
