using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Supervises a run: starts attempts, decides what a failure costs, talks to the observer, and gives the run's end. An
/// attempt that is given up is stopped with all its actors, so nothing late can reach the next one.
/// </summary>
internal partial class RunActor : ReceiveActor, IWithTimers
{
    private readonly TaskCompletionSource<RunEnd> _end;
    private readonly CancellationToken _stop;
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private RestartBudget _budget;
    private IActorRef _writer = ActorRefs.Nobody;
    private CancellationTokenSource _cancel = new();
    private Action? _afterAttempt;
    private Action? _afterWrite;
    private RunEnd? _verdict;
    private Exception? _attemptError;
    private RunState? _safePoint;
    private RunState? _writing;
    private string? _checkpoint;
    private string _cause = "";
    private readonly Dictionary<string, RoleFailed> _restarted = [];
    private (long Iteration, BatchPurpose Purpose) _lastReported = (-1, BatchPurpose.Evaluate);
    private long _lastIteration;
    private long _lastSaved;
    private bool _isOpened;

    public RunActor(RunDefinition definition, TaskCompletionSource<RunEnd> end, CancellationToken stop)
    {
        (Definition, _end, _stop, _budget) = (definition, end, stop, RestartBudget.Of(definition.Flow.RoleRestarts));
        Swaps = new RunSwaps(definition);
        ReceiveSwaps();
        Receive<FlowOpened>(opened => opened.Epoch == Epoch, Opened);
        Receive<IterationEnded>(ended => ended.Epoch == Epoch, Report);
        Receive<FlowNoted>(noted => noted.Epoch == Epoch, noted => Note(noted.Kind, noted.Message));
        Receive<SafePointTaken>(taken => taken.Epoch == Epoch, Keep);
        Receive<CheckpointDue>(due => due.Epoch == Epoch && !IsClosing, Write);
        Receive<CheckpointSaved>(Saved);
        Receive<CheckpointFailed>(WriteFailed);
        Receive<RoleFailed>(failed => failed.Epoch == Epoch && !IsClosing, Mend);
        Receive<StateLost>(lost => lost.Epoch == Epoch && !IsClosing, lost => Rewind($"The state of {string.Join(", ", lost.Slots)} is lost."));
        Receive<FlowEnded>(ended => ended.Epoch == Epoch && !IsClosing, Finish);
        Receive<Terminated>(_ => AttemptStopped());
        Receive<GracePassed>(_ => WhenWritten(() => Complete(_verdict ?? Failed(ExitCode.Failed,
            $"{_cause}A role did not return within {Definition.Flow.CancelGrace} of being cancelled; its thread is lost. "
            + "Start the run again with --resume latest."))));
    }

    public ITimerScheduler Timers { get; set; } = null!;

    /// <summary>What is to be done.</summary>
    protected RunDefinition Definition { get; }

    /// <summary>Which attempt, from 1.</summary>
    protected long Epoch { get; private set; }

    /// <summary>The iteration actor of the attempt.</summary>
    protected IActorRef Attempt { get; private set; } = ActorRefs.Nobody;

    /// <summary>Last finished iteration.</summary>
    protected long LastIteration => _lastIteration;

    /// <summary>The user, or a new coordinator, wants the run to end after the running iteration.</summary>
    protected CancellationToken Stop => _stop;

    /// <summary>The attempt is being given up, or is over.</summary>
    protected bool IsClosing => _afterAttempt is not null;

    protected override void PreStart()
    {
        if (_end.Task.IsCompleted)
        {
            Context.Stop(Self);
            return;
        }

        _writer = Context.ActorOf(
            Props.Create(() => new CheckpointActor(Definition)).WithDispatcher(RunHocon.IoDispatcher), "checkpoints");
        Swaps.Start(Context);
        try
        {
            _journal = StartJournal();
            var from = Resume();
            if (!Definition.SavesAtEnd)
                _lastSaved = long.MaxValue;
            StartAttempt(from);
        }
        catch (UserErrorException error)
        {
            Complete(Failed(error.ExitCode, error.Message));
        }
        catch (Exception error)
        {
            // An actor that fails here is stopped without PostStop, and nobody would give the run its end.
            _log.Error(error, "The run could not be started.");
            Complete(Failed(ExitCode.Failed, $"The run could not be started: {error.Message}"));
        }
    }

    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(error =>
    {
        _attemptError = error;
        return Directive.Stop;
    });

    protected override void PreRestart(Exception reason, object message)
    {
        _end.TrySetResult(Failed(ExitCode.Failed, $"The run's supervisor failed: {reason.Message}"));
        base.PreRestart(reason, message);
    }

    protected override void PostStop()
    {
        _cancel.Cancel();
        _cancel.Dispose();
        _end.TrySetResult(Failed(ExitCode.Failed, "The actor system was shut down while the run was going on."));
    }

    private RunState? Resume()
    {
        if (Definition.ResumeFrom is not { State: var state } checkpoint)
            return null;
        (_checkpoint, _lastSaved, _lastIteration) = (checkpoint.Folder, state.Iteration, state.Iteration);

        // Above every attempt that there was, not only above the checkpoint's: two branches of a run must not share a number.
        Epoch = Math.Max(Math.Max(state.Epoch, Epoch), Checkpoints.HighestEpoch(Definition.RunFolder));
        Note("resumed", $"Continues after iteration {state.Iteration} from {checkpoint.Folder}.");
        return state;
    }

    /// <summary>Starts an attempt, with all roles in this process.</summary>
    /// <param name="from">State to go on from; null at the beginning.</param>
    protected virtual void StartAttempt(RunState? from) =>
        StartAttempt(from, RoleProps.SlotsOf(Definition.Plan, Definition.Roles).ToDictionary(slot => slot, _ => (IActorRef?)null), meet: "");

    /// <summary>Starts an attempt.</summary>
    /// <param name="from">State to go on from; null at the beginning.</param>
    /// <param name="places">The node of each role slot; null for this process.</param>
    /// <param name="meet">Where trainer ranks of several nodes meet; empty when they are all here.</param>
    protected void StartAttempt(RunState? from, IReadOnlyDictionary<string, IActorRef?> places, string meet)
    {
        Epoch++;
        _cancel.Dispose();
        _cancel = new CancellationTokenSource();
        _safePoint = Definition is { IsSpread: false, Flow.SafePointShare: > 0 } ? from : null;
        UndoSwap();
        BeforeAttempt();
        _journal.Tell(new BeginEpoch(Epoch, from?.Iteration ?? 0) { Exchanged = Definition.Plugins?.InUse ?? [] });
        var (flow, lastSaved) = (new FlowContext(Definition, Self, ActorRefs.Nobody, Epoch, _cancel.Token, _stop) { Meet = meet, Journal = _journal }, _lastSaved);
        Attempt = Context.ActorOf(Props.Create(() => new IterationActor(flow, from, lastSaved, places)), $"iteration-{Epoch}");
        Context.Watch(Attempt);
    }

    /// <summary>Attempts up to this one were begun by others.</summary>
    protected void CountFrom(long epoch) => Epoch = Math.Max(Epoch, epoch);

    /// <summary>An attempt has its number and begins.</summary>
    protected virtual void BeforeAttempt()
    {
    }

    /// <summary>A checkpoint is on the disk.</summary>
    /// <param name="iteration">Whose state it has.</param>
    protected virtual void AfterCheckpoint(long iteration)
    {
    }

    /// <summary>An attempt is over, before anything follows it.</summary>
    protected virtual void AfterAttempt()
    {
    }

    /// <summary>The state of a checkpoint, as far as this process needs it.</summary>
    protected virtual RunState Read(string checkpoint) => Checkpoints.Open(checkpoint).State;

    // ---- What the attempt says ----

    private void Opened(FlowOpened opened)
    {
        Swaps.Hand(Attempt);
        if (_isOpened)
            return;
        _isOpened = true;
        if (!GiveUpOthers())
            return;
        Observe(observer => observer.Started(opened.FirstIteration, opened.Iterations));
        foreach (var remark in opened.Remarks)
            Note("data", remark);
    }

    // Not before the roles are open: a resume that fails at once must leave the run as it was.
    private bool GiveUpOthers()
    {
        if (Definition.ResumeFrom is not { } checkpoint)
            return true;
        try
        {
            Definition.Fence?.Invoke();
            if (Checkpoints.GiveUpOthers(Definition.RunFolder, checkpoint) is > 0 and var count)
                Note("checkpoint", $"Checkpoints that are not on the way to iteration {checkpoint.Iteration} were moved to checkpoints/given-up: {count}.");
            return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            Fail(ExitCode.Resource, $"Newer checkpoints could not be moved aside: {error.Message} Make the run folder writable, then resume again.");
            return false;
        }
        catch (UserErrorException error)
        {
            Fail(error.ExitCode, error.Message);
            return false;
        }
    }

    private void Report(IterationEnded ended)
    {
        var (report, last) = (ended.Report, _lastReported);
        _lastIteration = Math.Max(_lastIteration, report.Iteration);

        // After going back, iterations that were reported come again with the same numbers.
        if ((report.Iteration, report.Purpose).CompareTo(last) <= 0)
            return;
        _lastReported = (report.Iteration, report.Purpose);
        Observe(observer => observer.Reported(report));
        Swaps.Look();
    }

    private void Keep(SafePointTaken taken)
    {
        var spare = _safePoint;
        _safePoint = taken.State;

        // Memory that is still read by the writer comes back when that is done.
        if (spare is not null && !ReferenceEquals(spare, _writing))
            Sender.Tell(new SpareState(spare));
    }

    private void Finish(FlowEnded ended)
    {
        _verdict = new RunEnd(
            ended.IsStopped ? ExitCode.Interrupted : ExitCode.Ok, null, ended.LastIteration, _checkpoint, ended.ModelFolders);
        CloseAttempt(() => Complete(_verdict));
    }

    // ---- Failures ----

    private void Mend(RoleFailed failed)
    {
        // Told twice: what was said to it may have been lost. Others may have failed in between.
        if (_restarted.GetValueOrDefault(failed.Role) == failed)
        {
            Sender.Tell(new RestartRole());
            return;
        }

        RunTelemetry.Failed(failed);
        if (IsSpared(failed, isLastTry: false))
            return;
        _budget = _budget.Spend(failed.Role, Context.System.Scheduler.Now);
        if (failed.Repair == Repair.None)
            Fail(failed.ExitCode, failed.Reason);
        else if (_budget.IsSpent(failed.Role))
        {
            if (IsSpared(failed, isLastTry: true))
                return;
            Fail(ExitCode.Failed, $"{failed.Reason} It failed {_budget.CountOf(failed.Role)} times within "
                + $"{_budget.Within.TotalMinutes:0} minutes; flow.role-restarts allows {_budget.Allowed} restarts. {WayOn()}");
        }
        else if (failed.Repair == Repair.Restart)
        {
            Note("restart", $"{failed.Reason} The role is made anew and batch {failed.Batch} is repeated.");
            _restarted[failed.Role] = failed;
            Sender.Tell(new RestartRole());
        }
        else
            Rewind(failed.Reason);
    }

    /// <summary>True for a failure that costs the run nothing, because others do what the role was to do.</summary>
    /// <param name="failed">What failed.</param>
    /// <param name="isLastTry">Whether the role was made anew as often as it may be.</param>
    protected virtual bool IsSpared(RoleFailed failed, bool isLastTry) => false;

    /// <summary>Gives the attempt up and goes on from the last state.</summary>
    /// <param name="reason">What happened, a whole sentence.</param>
    protected void Rewind(string reason)
    {
        if (!Definition.IsSpread && _safePoint is null && Definition.Flow.SafePointShare <= 0 && _checkpoint is null && _writing is null)
        {
            Fail(ExitCode.Failed, $"{reason} There is no state to go back to: flow.safe-point-share is 0 and no checkpoint was saved. "
                + "Start the run again with flow.safe-point-share or run.checkpoint-every above 0.");
            return;
        }

        // Should the attempt not end, this is why it was to.
        _cause = reason + " ";
        CloseAttempt(() =>
        {
            // Without any state nothing was trained yet, and new roles are as good as the first.
            var state = _safePoint ?? (_checkpoint is null ? null : Read(_checkpoint));
            Note("restart", $"{reason} All roles are made anew and the run goes on after iteration {state?.Iteration ?? 0}.");
            StartAttempt(state);
        });
    }

    /// <summary>Ends the run where it is: it was stopped while it waited for something.</summary>
    protected void Interrupt() => Complete(new RunEnd(ExitCode.Interrupted, null, _lastIteration, _checkpoint, new Dictionary<string, string>()));

    /// <summary>Ends the run.</summary>
    protected void Fail(ExitCode exitCode, string reason)
    {
        _verdict = Failed(exitCode, reason);
        if (Attempt.IsNobody())
            Complete(_verdict);
        else
            CloseAttempt(() => Complete(_verdict));
    }

    private string WayOn() => _checkpoint is null && _writing is null && !HasUnsavedState
        ? "Mend the cause, then start the run again."
        : "Mend the cause, then go on with --resume latest.";

    // It is saved when the run has failed.
    private bool HasUnsavedState => _safePoint?.Iteration > _lastSaved;

    private RunEnd Failed(ExitCode exitCode, string reason) =>
        new(exitCode, reason, _lastIteration, _checkpoint, new Dictionary<string, string>());

    private void CloseAttempt(Action then)
    {
        _afterAttempt = then;
        _cancel.Cancel();
        Context.Stop(Attempt);
        Timers.StartSingleTimer("grace", new GracePassed(), Definition.Flow.CancelGrace);
    }

    private void AttemptStopped()
    {
        Timers.Cancel("grace");
        Attempt = ActorRefs.Nobody;
        AfterAttempt();
        _afterAttempt ??= () => Complete(Failed(ExitCode.Failed,
            $"The flow failed: {_attemptError?.Message ?? "its actors were stopped from outside"}"));
        WhenWritten(GoOn);
    }

    private void GoOn()
    {
        var then = _afterAttempt!;
        _afterAttempt = null;
        try
        {
            then();
        }
        catch (UserErrorException error)
        {
            Complete(Failed(error.ExitCode, error.Message));
        }
    }

    private void End(RunEnd end)
    {
        _end.TrySetResult(end.Failure is null ? end : WithUnsavedState(end with { Checkpoint = _checkpoint }));
        Context.Stop(Self);
    }

    // What a failed run still has in memory is worth more on disk.
    private RunEnd WithUnsavedState(RunEnd end)
    {
        if (_safePoint is not { } state || !HasUnsavedState)
            return end;
        foreach (var image in state.Images.Values)
            image.LeaveKeeper();
        try
        {
            var folder = Definition.Write(state, remark => Note("checkpoint", remark));
            Note("checkpoint", $"Iteration {state.Iteration} is saved in {folder}.");
            return end with { Checkpoint = folder };
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            _log.Warning(error, "The state of iteration {0} could not be saved after the failure.", state.Iteration);
            return end;
        }
    }

    private sealed record GracePassed;
}
