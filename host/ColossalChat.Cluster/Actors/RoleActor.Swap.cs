using Akka.Actor;

namespace ColossalChat.Cluster;

/// <summary>The part of a role's actor that makes the role anew while the run goes on, and tries it.</summary>
internal abstract partial class RoleActor<TRole>
{
    private const string ClosingTimer = "close";
    private CancellationTokenSource? _formationEnd;
    private (IActorRef Asker, int Step)? _closing;
    private (int Step, object? Answer)? _asked;
    private bool _isLost;

    /// <summary>There is no role until it is made anew.</summary>
    protected bool IsClosed { get; private set; }

    /// <summary>Number under which the role's ranks met when it was made, another for each time.</summary>
    protected long FormationNumber => _formation.Number;

    /// <summary>Calls that bring a new role to a state.</summary>
    /// <param name="iteration">The state's.</param>
    /// <param name="state">Reads it; called on the role's thread.</param>
    protected abstract IEnumerable<RoleCall<TRole>> Reopening(long iteration, Func<RunState> state);

    /// <summary>
    /// Has the role answer the last batch that it had, and throws when it breaks a promise; null when it had none. The
    /// answer goes nowhere.
    /// </summary>
    protected abstract Action<TRole, CancellationToken>? Trial();

    protected override void PostStop() => _formationEnd?.Dispose();

    private void ReceiveSwap()
    {
        Receive<CloseRole>(Close);
        Receive<OpenRole>(open => Reopen(open.Step, open.Formation, open.IsTrial, open.State.Iteration, () => open.State));
        Receive<OpenSavedRole>(open => Reopen(
            open.Step, open.Formation, open.IsTrial, open.Iteration, () => Checkpoints.Open(open.Checkpoint, RoleSlots.IsNeededBy(Role)).State));
        Receive<VerifyRole>(Verify);
        Receive<Overdue>(overdue => overdue.Step == _closing?.Step, _ => Lose());
        Receive<Terminated>(WorkerStopped);
    }

    private void Close(CloseRole close)
    {
        if (IsAskedAgain(close.Step))
            return;
        if (_worker.IsNobody())
        {
            Answer(Sender, close.Step, new RoleClosed(close.Step, Role, IsLost: false));
            return;
        }

        _closing = (Sender, close.Step);
        _waiting.Clear();
        // Frees this role of a wait for other ranks, which may have failed.
        _formationEnd?.Cancel();
        if (_failure is not null)
            _running = null; // It has ended, and is not repeated now.
        if (_running is not { } running)
        {
            StopWorker();
            return;
        }

        running.Cancel.Cancel();
        if (!running.IsOverTime)
            Timers.StartSingleTimer(Timer, new GracePassed(running.Ticket), Flow.Definition.Flow.CancelGrace);
    }

    private void StopWorker()
    {
        if (_isLost)
        {
            Closed();
            return;
        }

        // A role that hangs while it is disposed must not hold up the run; waiting for a turn may take as long again.
        Timers.StartSingleTimer(ClosingTimer, new Overdue(_closing!.Value.Step), 2 * Flow.Definition.Flow.CancelGrace);
        Context.Watch(_worker);
        Context.Stop(_worker);
    }

    private void WorkerStopped(Terminated stopped)
    {
        if (!stopped.ActorRef.Equals(_worker))
            return;
        if (_closing is null)
            Replay();
        else
            Closed();
    }

    private void Closed()
    {
        var (asker, step) = _closing!.Value;
        Timers.Cancel(ClosingTimer);
        _worker = ActorRefs.Nobody;
        var closed = new RoleClosed(step, Role, _isLost);
        (_closing, _isLost, IsClosed, _failure) = (null, false, true, null);
        Answer(asker, step, closed);
    }

    // Its thread cannot be ended. Its turn on the device can, or nobody else would ever get one.
    private void Lose()
    {
        _isLost = true;
        if (_running is { } running)
        {
            running.Turn.Dispose();
            Timers.Cancel(Timer);
            _watch.Ended(running.Call, RoleWatch.OverTime, result: null);
        }

        _running = null;
        Context.Unwatch(_worker);
        Context.Stop(_worker);
        if (_closing is not null)
            Closed();
    }

    private void Reopen(int step, long formation, bool isTrial, long iteration, Func<RunState> state)
    {
        if (IsAskedAgain(step))
            return;
        _formationEnd?.Dispose();
        _formationEnd = CancellationTokenSource.CreateLinkedTokenSource(Flow.Cancel);
        _formation = new Formation(formation, _formationEnd.Token);
        IsClosed = false;
        _worker = StartWorker();
        CallAll([.. Reopening(iteration, state)], step, isTrial);
    }

    private void Verify(VerifyRole verify)
    {
        if (IsAskedAgain(verify.Step))
            return;
        RoleCall<TRole>[] calls = Trial() is { } trial
            ? [new RoleCall<TRole>(default, "answer the batch that it was tried on", (role, cancel) => Try(trial, role, cancel), (_, _) => { })]
            : [];
        CallAll(calls, verify.Step, isTrial: true);
    }

    private static object? Try(Action<TRole, CancellationToken> trial, TRole role, CancellationToken cancel)
    {
        trial(role, cancel);
        return null;
    }

    private void CallAll(RoleCall<TRole>[] calls, int step, bool isTrial)
    {
        var (asker, left) = (Sender, calls.Length);
        if (left == 0)
            Answer(asker, step, new RoleReady(step, Role));
        foreach (var call in calls)
            _waiting.Enqueue(call with
            {
                Done = (result, took) =>
                {
                    call.Done(result, took);
                    if (--left == 0)
                        Answer(asker, step, new RoleReady(step, Role));
                },
                Refused = isTrial ? reason => Answer(asker, step, new RoleRefused(step, Role, reason)) : null,
            });
        StartNext();
    }

    // The question or its answer may have been lost on its way to another node: what was done is not done twice.
    private bool IsAskedAgain(int step)
    {
        if (_asked is not { } asked || asked.Step != step)
        {
            _asked = (step, null);
            return false;
        }

        if (asked.Answer is { } answer)
            Sender.Tell(answer);
        return true;
    }

    private void Answer(IActorRef asker, int step, object answer)
    {
        if (_asked?.Step == step)
            _asked = (step, answer);
        asker.Tell(answer);
    }

    /// <summary>A failure that is no failure of the run: whoever tries the role hears of it.</summary>
    private bool IsRefusal(Attempt running, string reason)
    {
        if (running.Call.Refused is not { } refused)
            return false;
        _waiting.Clear();
        (_running, IsClosed) = (null, true);
        refused(reason);
        return true;
    }

    private sealed record Overdue(int Step);
}
