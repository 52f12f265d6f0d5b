using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Hosts one role: calls it one call at a time in a child on the dedicated dispatcher, with a time limit, and repeats the
/// failed call on a new role when the supervisor says so. Subclasses translate messages into calls.
/// </summary>
internal abstract partial class RoleActor<TRole> : ReceiveActor, IWithTimers
    where TRole : class
{
    private const string Timer = "call";

    // Beyond batches and weights: opening, capturing, measuring, exporting.
    private const int Spare = 8;
    private readonly Func<Formation, TRole> _make;
    private readonly string? _party;
    private readonly int _capacity;
    private readonly AnsweredCalls? _answered;
    private readonly RoleWatch _watch;
    private Queue<RoleCall<TRole>> _waiting = new();
    private Attempt? _running;
    private IActorRef _worker;
    private RoleFailed? _failure;
    private long _ticket;
    private Formation _formation;

    /// <param name="flow">What all actors share.</param>
    /// <param name="role">The role's slot.</param>
    /// <param name="make">Makes the role.</param>
    /// <param name="repair">What a failed call takes to mend.</param>
    /// <param name="party">Those with whom the role shares turns on the device; null for none.</param>
    protected RoleActor(FlowContext flow, string role, Func<Formation, TRole> make, Repair repair, string? party = null)
    {
        (Flow, Role, Repair, _make, _party) = (flow, role, repair, make, party);
        _capacity = CapacityOf(flow.Definition);
        _answered = flow.Definition.IsSpread ? new AnsweredCalls() : null;
        _watch = new RoleWatch(flow, role, Context.System);
        _formation = new Formation(flow.Epoch, flow.Cancel);
        _worker = StartWorker();
        ReceiveSwap();
        Receive<WorkStarted>(started => Limit(started.Ticket));
        Receive<WorkDone>(Finish);
        Receive<WorkFailed>(failed => Fail(failed.Ticket, failed.Error));
        Receive<LimitPassed>(limit => GiveUp(limit.Ticket));
        Receive<GracePassed>(grace => ReportStuck(grace.Ticket));
        Receive<RestartRole>(_ => Restart());
        Receive<Parcel>(parcel => flow.Definition.Parcels?.Open(parcel, Self, Sender));
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected FlowContext Flow { get; }

    /// <summary>The role's slot, such as <c>rollout</c>.</summary>
    protected string Role { get; }

    /// <summary>What a failed call takes to mend.</summary>
    protected Repair Repair { get; set; }

    protected IActorRef Iteration => Flow.Iteration;

    protected ILoggingAdapter Log { get; } = Context.GetLogger();

    /// <summary>
    /// Runs a call once all calls before it are done. Where messages can be lost the same request may come twice: one that
    /// was answered is answered again, one that is on its way answers as the newest request wants it.
    /// </summary>
    /// <exception cref="InvalidOperationException">More calls wait than credits allow: a fault of the host itself.</exception>
    protected void Call<TResult>(
        BatchId batch, string what, Func<TRole, CancellationToken, TResult> body, Action<TResult, TimeSpan> done, long number = 0, CallSize size = default)
    {
        var call = new RoleCall<TRole>(
            batch, what, (role, cancel) => body(role, cancel), (result, took) => done((TResult)result!, took)) { Number = number, Size = size };
        if (_answered is not null && (_answered.TryRepeat(call) || IsOnItsWay(call)))
            return;
        if (_waiting.Count >= _capacity)
            throw new InvalidOperationException(
                $"{Role} was asked to {what} (batch {batch}) while {_waiting.Count} calls wait; flow.batches-in-flight = "
                + $"{Flow.Definition.Flow.BatchesInFlight} allows {_capacity}. Somebody sends without a credit.");
        _waiting.Enqueue(call);
        SetQueue();
        StartNext();
    }

    /// <summary>Calls that a new role needs before the failed one is repeated.</summary>
    protected virtual IEnumerable<RoleCall<TRole>> AfterRestart() => [];

    /// <summary>Logs a message that came too late to matter.</summary>
    protected void DropLate(object message, BatchId batch)
    {
        RunTelemetry.Late(Role);
        Log.Debug("{0}: dropped late {1} of {2}.", batch, message.GetType().Name, Role);
    }

    // A batch that was lost on its way may come again while its first answers still wait.
    private static int CapacityOf(RunDefinition run) => ((run.MarksRollouts ? 2 : 1) * run.Flow.BatchesInFlight)
        + ((1 + (2 * run.Flow.Staleness)) * run.Plan.ModelsTrained.Count) + Spare;

    private SharedDevice Device => new(Flow.Definition.Devices, Flow.Definition.Device, _party);

    private IActorRef StartWorker()
    {
        var (make, formation, device, grace) = (_make, _formation, Device, Flow.Definition.Flow.CancelGrace);
        Func<TRole> makeNow = () => make(formation);
        return Context.ActorOf(Props.Create(() => new RoleWorker<TRole>(makeNow, device, grace)).WithDispatcher(RunHocon.RoleDispatcher));
    }

    private void SetQueue()
    {
        _watch.Waiting(_waiting.Count);
        if (Flow.Queues is { } queues)
            queues[Role] = _waiting.Count + (_running is null ? 0 : 1);
    }

    // Should it fail, the newest request is repeated: what an older one wanted to load may be withdrawn.
    private bool IsOnItsWay(RoleCall<TRole> call)
    {
        if (_running is { } running && running.Call.Key == call.Key)
        {
            _running = running with { Call = running.Call with { Done = call.Done, Body = call.Body } };

            // Whoever asks again may not have heard that it failed.
            if (_failure is not null)
                Flow.Run.Tell(_failure);
            return true;
        }

        if (!_waiting.Any(waiting => waiting.Key == call.Key))
            return false;
        _waiting = new Queue<RoleCall<TRole>>(_waiting.Select(waiting => waiting.Key == call.Key ? waiting with { Done = call.Done, Body = call.Body } : waiting));
        return true;
    }

    private void StartNext()
    {
        if (_running is not null || _failure is not null || IsClosed || !_waiting.TryDequeue(out var call))
            return;
        var cancel = CancellationTokenSource.CreateLinkedTokenSource(_formation.Cancel);
        _running = new Attempt(call, ++_ticket, cancel, new DeviceTurn(Device), IsOverTime: false);
        SetQueue();
        _watch.Sent();
        _worker.Tell(new Work<TRole>(_ticket, call.Body, _running.Turn, cancel.Token) { Call = (Role, call.Batch) });
    }

    // From here on, not from the request: waiting for the device is not the role's fault.
    private void Limit(long ticket)
    {
        if (_running?.Ticket != ticket)
            return;
        _watch.Computing();
        Timers.StartSingleTimer(Timer, new LimitPassed(ticket), Flow.Definition.Flow.RoleTimeout);
    }

    private void Finish(WorkDone done)
    {
        if (_running is not { } running || running.Ticket != done.Ticket)
            return;
        if (_closing is not null)
        {
            Leave(running);
            return;
        }

        if (running.IsOverTime)
        {
            Fail(done.Ticket, OverTime());
            return;
        }

        End(running);
        _running = null;
        _watch.Ended(running.Call, RoleWatch.Ok, done.Result);
        _answered?.Remember(running.Call, done.Result, done.Took);
        running.Call.Done(done.Result, done.Took);
        StartNext();
        SetQueue();
    }

    private void GiveUp(long ticket)
    {
        if (_running is not { } running || running.Ticket != ticket)
            return;
        _running = running with { IsOverTime = true };
        Timers.StartSingleTimer(Timer, new GracePassed(ticket), Flow.Definition.Flow.CancelGrace);
        running.Cancel.Cancel();
    }

    private void ReportStuck(long ticket)
    {
        if (_running is not { } running || running.Ticket != ticket)
            return;
        if (_closing is not null)
        {
            Lose();
            return;
        }

        if (running.Call.Refused is not null)
        {
            Lose();
            IsRefusal(running, Sentence(running, OverTime().Message));
            return;
        }

        var stuck = $"{OverTime().Message} It did not return within {Flow.Definition.Flow.CancelGrace} of being cancelled, so its thread and device are lost";
        if (Flow.Definition.Abandon is { } abandon)
            abandon($"{Role} failed to {running.Call.What}: {stuck}.");
        else
            Report(running, $"{stuck}; start the run again with --resume latest.", Repair.None, ExitCode.Failed);
    }

    private void Fail(long ticket, Exception error)
    {
        if (_running is not { } running || running.Ticket != ticket)
            return;
        if (_closing is not null)
        {
            Leave(running);
            return;
        }

        End(running);
        _watch.Ended(running.Call, OutcomeOf(running), result: null, error.Message);
        if (Flow.Cancel.IsCancellationRequested)
            return;
        if (IsRefusal(running, Sentence(running, running.IsOverTime ? OverTime().Message : error is UserErrorException ? error.Message : $"{error.GetType().Name}: {error.Message}")))
            return;
        if (error is UserErrorException user)
            Report(running, user.Message, Repair.None, user.ExitCode);
        else if (running.IsOverTime)
            Report(running, OverTime().Message, Repair, ExitCode.Failed);
        else
            Report(running, $"{error.GetType().Name}: {error.Message}", Repair, ExitCode.Failed);
        Log.Error(error, "{0}: {1} failed to {2}.", running.Call.Batch, Role, running.Call.What);
    }

    private void Report(Attempt running, string reason, Repair repair, ExitCode exitCode)
    {
        _failure = new RoleFailed(Flow.Epoch, Role, running.Call.Batch, Sentence(running, reason), repair, exitCode) { Ticket = running.Ticket };
        Flow.Run.Tell(_failure);
    }

    private string Sentence(Attempt running, string reason)
    {
        var batch = running.Call.Batch == default ? "" : $" (batch {running.Call.Batch})";
        var end = reason.TrimEnd() is [.., '.' or '!' or '?'] ? "" : ".";
        return $"{Role} failed to {running.Call.What}{batch}: {reason.TrimEnd()}{end}";
    }

    // Whatever came of the call, the role is given up.
    private void Leave(Attempt running)
    {
        End(running);
        _watch.Ended(running.Call, RoleWatch.Cancelled, result: null);
        _running = null;
        StopWorker();
    }

    private void Restart()
    {
        if (_failure is null)
            return;
        Context.Watch(_worker);
        Context.Stop(_worker);
    }

    // The old role is disposed by now, so the new one finds memory and files free.
    private void Replay()
    {
        if (_running is not { } running)
            return;
        _worker = StartWorker();
        (_running, _failure) = (null, null);
        _waiting = new Queue<RoleCall<TRole>>([.. AfterRestart(), running.Call, .. _waiting]);
        StartNext();
    }

    private void End(Attempt running)
    {
        Timers.Cancel(Timer);
        running.Cancel.Dispose();
    }

    private string OutcomeOf(Attempt running) =>
        Flow.Cancel.IsCancellationRequested ? RoleWatch.Cancelled : running.IsOverTime ? RoleWatch.OverTime : RoleWatch.Failed;

    private TimeoutException OverTime() =>
        new($"No answer within flow.role-timeout = {Flow.Definition.Flow.RoleTimeout}.");

    private sealed record Attempt(RoleCall<TRole> Call, long Ticket, CancellationTokenSource Cancel, DeviceTurn Turn, bool IsOverTime);

    private sealed record LimitPassed(long Ticket);

    private sealed record GracePassed(long Ticket);
}
