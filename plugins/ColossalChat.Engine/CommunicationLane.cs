using System.Collections.Concurrent;
using System.Diagnostics;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Engine;

/// <summary>
/// A rank's communication on a thread of its own, in order. With one rank there is nothing to hide and work is done at
/// once. After a failure all later work fails with the same reason.
/// </summary>
internal sealed class CommunicationLane : ICommunicationLane, IDisposable
{
    // What waits here holds buffers: gradients that are computed faster than they are reduced must not pile up.
    private const int MostWaiting = 4;
    private readonly BlockingCollection<(Action Work, TaskCompletionSource Done)> _queue = new(MostWaiting);
    private readonly Thread? _thread;
    private Exception? _failure;
    private long _busyTicks;
    private long _exposedTicks;

    /// <summary>Starts the thread.</summary>
    /// <param name="name">For debuggers.</param>
    /// <param name="ranks">With 1 there is no thread.</param>
    public CommunicationLane(string name, int ranks)
    {
        if (ranks == 1)
            return;
        _thread = new Thread(Run) { IsBackground = true, Name = name };
        _thread.Start();
    }

    /// <summary>Time spent communicating, hidden or not.</summary>
    public TimeSpan Busy => Stopwatch.GetElapsedTime(0, Volatile.Read(ref _busyTicks));

    /// <summary>Time that the rank's own thread waited for communication.</summary>
    public TimeSpan Exposed => Stopwatch.GetElapsedTime(0, _exposedTicks);

    /// <inheritdoc/>
    public Task Post(Action work)
    {
        if (_thread is null)
        {
            work();
            return Task.CompletedTask;
        }

        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!_queue.TryAdd((work, done)))
        {
            var started = Stopwatch.GetTimestamp();
            _queue.Add((work, done));
            _exposedTicks += Stopwatch.GetTimestamp() - started;
        }

        return done.Task;
    }

    /// <inheritdoc/>
    public void Wait(Task work)
    {
        if (!work.IsCompleted)
        {
            var started = Stopwatch.GetTimestamp();
            ((IAsyncResult)work).AsyncWaitHandle.WaitOne();
            _exposedTicks += Stopwatch.GetTimestamp() - started;
        }

        if (work.Exception is { } failure)
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure.InnerException!);
    }

    /// <summary>Does work on the lane and waits for it.</summary>
    public T Ask<T>(Func<T> work)
    {
        var result = default(T);
        Wait(Post(() => result = work()));
        return result!;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _queue.CompleteAdding();
        _thread?.Join();
        _queue.Dispose();
    }

    private void Run()
    {
        using var noGrad = no_grad();
        foreach (var (work, done) in _queue.GetConsumingEnumerable())
        {
            if (_failure is not null)
            {
                done.SetException(_failure);
                continue;
            }

            var started = Stopwatch.GetTimestamp();
            try
            {
                using var scope = NewDisposeScope();
                work();
                done.SetResult();
            }
            catch (Exception failure)
            {
                _failure = failure;
                done.SetException(failure);
            }

            Volatile.Write(ref _busyTicks, _busyTicks + Stopwatch.GetTimestamp() - started);
        }
    }
}
