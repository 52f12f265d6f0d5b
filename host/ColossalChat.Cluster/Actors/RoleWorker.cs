using System.Diagnostics;
using Akka.Actor;
using Akka.Event;

namespace ColossalChat.Cluster;

/// <summary>
/// The only place where a role's code runs: made, called and disposed on a thread of the dedicated dispatcher. Whatever
/// it throws becomes an answer.
/// </summary>
internal sealed class RoleWorker<TRole> : ReceiveActor
    where TRole : class
{
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private readonly Func<TRole> _make;
    private readonly SharedDevice _device;
    private readonly TimeSpan _grace;
    private TRole? _role;

    /// <param name="make">Makes the role at the first call.</param>
    /// <param name="device">What the role computes on, in turns.</param>
    /// <param name="grace">Longest wait for a turn to dispose the role.</param>
    public RoleWorker(Func<TRole> make, SharedDevice device, TimeSpan grace)
    {
        (_make, _device, _grace) = (make, device, grace);
        Receive<Work<TRole>>(Run);
    }

    private void Run(Work<TRole> work)
    {
        try
        {
            using var turn = work.Turn;
            turn.Take(work.Cancel);
            Sender.Tell(new WorkStarted(work.Ticket));
            CurrentCall.Begin(work.Call.Role, work.Call.Batch);
            _role ??= _make();
            var started = Stopwatch.GetTimestamp();
            var result = work.Body(_role, work.Cancel);
            Sender.Tell(new WorkDone(work.Ticket, result, Stopwatch.GetElapsedTime(started)));
        }
        catch (Exception error)
        {
            Sender.Tell(new WorkFailed(work.Ticket, error));
        }
        finally
        {
            CurrentCall.End();
        }
    }

    protected override void PostStop()
    {
        // Nothing of a plugin is kept by an actor that has stopped, or its context could not be unloaded.
        var made = _role;
        _role = null;
        if (made is not IDisposable role)
            return;
        try
        {
            using var turn = TurnToDispose();
            role.Dispose();
        }
        catch (Exception error)
        {
            // Nobody can mend it any more, and the run must end all the same.
            _log.Warning(error, "A role threw while it was disposed.");
        }
    }

    // Not under the run's own token, which is cancelled by now. A role that ignores its cancellation keeps the device for
    // good: memory must come free all the same, and what that role itself holds is on loan to it.
    private IDisposable? TurnToDispose()
    {
        using var limit = new CancellationTokenSource(_grace);
        try
        {
            return _device.Take(limit.Token);
        }
        catch (OperationCanceledException)
        {
            _log.Warning("A role is disposed without its turn on {0}: it did not come within {1}.", _device.Name, _grace);
            return null;
        }
    }
}
