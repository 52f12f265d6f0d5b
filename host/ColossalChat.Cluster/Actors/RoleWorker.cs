using System.Diagnostics;
using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

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
    private readonly IDeviceLeases _devices;
    private readonly string _device;
    private TRole? _role;

    public RoleWorker(Func<TRole> make, IDeviceLeases devices, string device)
    {
        (_make, _devices, _device) = (make, devices, device);
        Receive<Work<TRole>>(Run);
    }

    private void Run(Work<TRole> work)
    {
        try
        {
            using var turn = _devices.Take(_device, work.Cancel);
            Sender.Tell(new WorkStarted(work.Ticket));
            _role ??= _make();
            var started = Stopwatch.GetTimestamp();
            var result = work.Body(_role, work.Cancel);
            Sender.Tell(new WorkDone(work.Ticket, result, Stopwatch.GetElapsedTime(started)));
        }
        catch (Exception error)
        {
            Sender.Tell(new WorkFailed(work.Ticket, error));
        }
    }

    protected override void PostStop()
    {
        try
        {
            (_role as IDisposable)?.Dispose();
        }
        catch (Exception error)
        {
            // Nobody can mend it any more, and the run must end all the same.
            _log.Warning(error, "A role threw while it was disposed.");
        }

        _role = null;
    }
}
