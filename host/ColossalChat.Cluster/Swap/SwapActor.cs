using System.Diagnostics;
using System.Globalization;
using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Exchanges one plugin between two iterations. All roles that hold something of it are disposed; made anew with the
/// candidate they take up their state, and answer the last batch that they had. Only when all of them, of all ranks, did
/// so the candidate stays; else all of them are made once more with the version that was there before.
/// </summary>
internal sealed class SwapActor : ReceiveActor
{
    private readonly FlowContext _flow;
    private readonly SwapOffer _offer;
    private readonly IReadOnlyList<IActorRef> _exchanges;
    private readonly IReadOnlyDictionary<string, IActorRef> _roles;
    private readonly IReadOnlyCollection<string> _readers;
    private readonly RunState _state;
    private readonly HashSet<string> _awaited = [];
    private readonly HashSet<string> _lost = [];
    private readonly SortedSet<string> _users = new(StringComparer.Ordinal);
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private readonly long _started = Stopwatch.GetTimestamp();
    private Action _then = () => { };
    private string? _failure;
    private bool _isUnderTrial;
    private long _formations;
    private int _step;

    /// <param name="flow">What all actors share.</param>
    /// <param name="ready">The candidate.</param>
    /// <param name="roles">All roles by slot.</param>
    /// <param name="readers">Slots of those that compute with published weights.</param>
    /// <param name="state">Of the whole run, between these two iterations.</param>
    /// <param name="formations">How often roles were made anew in this attempt before.</param>
    public SwapActor(
        FlowContext flow, SwapReady ready, IReadOnlyDictionary<string, IActorRef> roles, IReadOnlyCollection<string> readers, RunState state, long formations)
    {
        (_flow, _offer, _exchanges, _roles, _readers, _state, _formations) = (flow, ready.Offer, ready.Exchanges, roles, readers, state, formations);
        Receive<UsersFound>(found =>
        {
            _users.UnionWith(_roles.Keys.Where(slot => found.Slots.Contains(slot) || found.Slots.Contains(RoleSlots.RoleOf(slot))));
            Arrive(found.Step, NameOf(Sender));
        });
        Receive<RoleClosed>(closed =>
        {
            if (closed.IsLost)
                _lost.Add(closed.Role);
            Arrive(closed.Step, closed.Role);
        });
        Receive<PluginSwitched>(switched =>
        {
            if (switched.Error.Length > 0 && switched.Step == _step)
                GoBack(switched.Error);
            else
                Arrive(switched.Step, NameOf(Sender));
        });
        Receive<RoleReady>(ready => Arrive(ready.Step, ready.Role));
        Receive<RoleRefused>(refused =>
        {
            if (refused.Step == _step && _isUnderTrial)
                GoBack(refused.Reason);
        });
        Receive<WeightsSpread>(spread => Arrive(spread.Step, nameof(PublishAgain)));
        Receive<SwapCommitted>(committed =>
        {
            _failure ??= committed.Advice;
            Arrive(committed.Step, NameOf(Sender));
        });
    }

    private string[] UsingTrainers => [.. _users.Where(IsTrainer)];

    private string[] UsingOthers => [.. _users.Where(slot => !IsTrainer(slot))];

    protected override void PreStart() => AskNodes(step => new FindUsers(_offer.Id, step), () =>
    {
        // The ranks of a model form one group: none of them can be made anew alone.
        foreach (var slot in UsingTrainers)
            _users.UnionWith(_roles.Keys.Where(other => RoleSlots.AreRanksOfOne(slot, other)));
        _isUnderTrial = true;
        Close(_users, () => SwitchNodes(isBack: false, TryTrainers));
    });

    // ---- Forward ----

    // Trainers before the others, who may read their weights. What has state is made once more after it was tried, because a
    // role takes up its state before its first batch and not after it.
    private void TryTrainers() => Open(_users, isTrial: true, () =>
        Verify(UsingTrainers, () =>
            Renew(UsingTrainers, () =>
                Publish(TryOthers))));

    private void TryOthers() => Verify(UsingOthers, () =>
        Renew([.. UsingOthers.Where(_state.Images.ContainsKey)], Commit));

    private void Renew(IReadOnlyCollection<string> slots, Action then) => Close(slots, () => Open(slots, isTrial: true, then));

    private void Commit() => AskNodes(step => new CommitSwap(_offer.Id, step, _state.Iteration), () =>
    {
        var advice = _failure ?? "";
        var made = _users.Count == 0 ? "No role of this run holds anything of it." : $"Made anew, and tried on the last batch: {string.Join(", ", _users)}.";
        End(ExitCode.Ok, $"{_offer.Plugin} {_offer.Old} -> {_offer.New} after iteration {Number(_state.Iteration)} in {Seconds()} s. {made}{Lost()} {advice}".TrimEnd());
    });

    // ---- Back ----

    private void GoBack(string reason)
    {
        (_failure, _isUnderTrial) = (reason, false);
        Close(_users, () => SwitchNodes(isBack: true, () => Open(_users, isTrial: false, () => Publish(() => End(
            ExitCode.Failed,
            $"{_offer.Plugin} {_offer.Old} stays: {_offer.New} was tried after iteration {Number(_state.Iteration)} and rolled back in {Seconds()} s. {_failure}{Lost()}")))));
    }

    private string Lost() => _lost.Count == 0
        ? ""
        : $" {string.Join(", ", _lost)} did not return within flow.cancel-grace: its thread is lost until this process ends.";

    private void End(ExitCode exitCode, string message) =>
        Context.Parent.Tell(new SwapEnded(_flow.Epoch, _offer.Id, exitCode, message));

    // ---- One step each ----

    private void Close(IReadOnlyCollection<string> slots, Action then) => AskRoles(slots, step => new CloseRole(step), then);

    private void Verify(IReadOnlyCollection<string> slots, Action then) => AskRoles(slots, step => new VerifyRole(step), then);

    private void Open(IReadOnlyCollection<string> slots, bool isTrial, Action then)
    {
        var formation = Formation.NumberOf(_flow.Epoch, ++_formations);
        AskRoles(slots, step => new OpenRole(step, formation, _state, isTrial), then);
    }

    private void SwitchNodes(bool isBack, Action then) => AskNodes(step => new SwitchPlugin(_offer.Id, step, isBack), then);

    // New trainers have published nothing, and what the old ones published may be gone with them.
    private void Publish(Action then)
    {
        if (UsingTrainers.Length == 0 || _readers.Count == 0)
        {
            then();
            return;
        }

        Await([nameof(PublishAgain)], then);
        Context.Parent.Tell(new PublishAgain(_step));
    }

    private void AskRoles(IReadOnlyCollection<string> slots, Func<int, object> question, Action then)
    {
        string[] asked = [.. slots];
        Await(asked, then);
        var ask = question(_step);
        foreach (var slot in asked)
            _roles[slot].Tell(ask);
        if (asked.Length == 0)
            then();
    }

    private void AskNodes(Func<int, object> question, Action then)
    {
        Await(_exchanges.Select(NameOf), then);
        foreach (var exchange in _exchanges)
            exchange.Tell(question(_step));
    }

    private void Await(IEnumerable<string> answers, Action then)
    {
        _step++;
        _awaited.Clear();
        _awaited.UnionWith(answers);
        _then = then;
    }

    private void Arrive(int step, string answer)
    {
        if (step != _step || !_awaited.Remove(answer))
            _log.Debug("Dropped a late answer of {0}.", answer);
        else if (_awaited.Count == 0)
            _then();
    }

    private string Seconds() => Stopwatch.GetElapsedTime(_started).TotalSeconds.ToString("0.##", CultureInfo.InvariantCulture);

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static string NameOf(IActorRef actor) => actor.Path.ToString();

    private static bool IsTrainer(string slot) => RoleSlots.RoleOf(slot) == RoleSlots.Trainer;
}
