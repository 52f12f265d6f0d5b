using System.Diagnostics;
using System.Globalization;
using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Exchanges one plugin between two iterations. All roles that hold something of it are disposed; made anew with the
/// candidate they take up their state, and answer the last batch that they had. Only when all of them, of all ranks and on
/// all nodes, did so the candidate stays; else all of them are made once more with the version that was there before.
/// </summary>
internal sealed class SwapActor : ReceiveActor, IWithTimers
{
    private readonly FlowContext _flow;
    private readonly SwapReady _ready;
    private readonly Dictionary<string, IActorRef> _nodes;
    private readonly IReadOnlyDictionary<string, IActorRef> _roles;
    private readonly IReadOnlyCollection<string> _readers;
    private readonly RunState _state;
    private readonly Dictionary<string, IActorRef> _awaited = [];
    private readonly HashSet<string> _lost = [];
    private readonly SortedSet<string> _users = new(StringComparer.Ordinal);
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private readonly long _started = Stopwatch.GetTimestamp();
    private Action _then = () => { };
    private object? _question;
    private string? _failure;
    private bool _isUnderTrial = true;
    private long _formations;
    private int _step;

    /// <param name="flow">What all actors share.</param>
    /// <param name="ready">The candidate.</param>
    /// <param name="nodes">Who takes part, by name.</param>
    /// <param name="roles">All roles by slot.</param>
    /// <param name="readers">Slots of those that compute with published weights.</param>
    /// <param name="state">Of the whole run, between these two iterations; on disk where roles are on several nodes.</param>
    /// <param name="numbers">What it may use and nobody used before.</param>
    public SwapActor(
        FlowContext flow,
        SwapReady ready,
        IReadOnlyDictionary<string, IActorRef> nodes,
        IReadOnlyDictionary<string, IActorRef> roles,
        IReadOnlyCollection<string> readers,
        RunState state,
        SwapNumbers numbers)
    {
        (_flow, _ready, _nodes, _roles, _readers, _state) = (flow, ready, nodes.ToDictionary(), roles, readers, state);
        (_formations, _step) = (numbers.Formations, numbers.Steps);
        ReceiveFromNodes();
        Receive<RoleClosed>(closed =>
        {
            if (closed.IsLost)
                _lost.Add(closed.Role);
            Arrive(closed.Step, closed.Role);
        });
        Receive<RoleReady>(made => Arrive(made.Step, made.Role));
        Receive<RoleRefused>(refused =>
        {
            if (refused.Step == _step && _isUnderTrial)
                GoBack(refused.Reason);
        });
        Receive<WeightsSpread>(spread => Arrive(spread.Step, nameof(PublishAgain)));
        Receive<SwapRecorded>(recorded =>
        {
            if (recorded.Error.Length > 0)
                GoBack(recorded.Error);
            else
                Arrive(recorded.Step, nameof(RecordSwap));
        });
        Receive<AskAgain>(_ =>
        {
            foreach (var asked in _awaited.Values)
                asked.Tell(_question!);
        });
    }

    public ITimerScheduler Timers { get; set; } = null!;

    private SwapOffer Offer => _ready.Offer;

    private string[] UsingTrainers => [.. _users.Where(IsTrainer)];

    private string[] UsingOthers => [.. _users.Where(slot => !IsTrainer(slot))];

    protected override void PreStart()
    {
        if (_flow.Definition.IsSpread)
        {
            Timers.StartPeriodicTimer("again", new AskAgain(), _flow.Definition.Flow.ResendAfter);
            AskNodes(step => new PrepareSwap(_ready.Request, step), FindUsers);
        }
        else
        {
            FindUsers();
        }
    }

    private void ReceiveFromNodes()
    {
        Receive<SwapPrepared>(prepared =>
        {
            if (prepared.Refusal.Length == 0)
                Arrive(prepared.Step, prepared.Node);
            else if (prepared.Step == _step)
                SwitchNodes(isBack: true, () => End(
                    ExitCode.Invalid, $"{Offer.Plugin} {Offer.Old} stays: {Offer.New} was refused before it was tried. Node {prepared.Node}: {prepared.Refusal}"));
        });
        Receive<UsersFound>(found =>
        {
            _users.UnionWith(_roles.Keys.Where(slot => found.Slots.Contains(slot) || found.Slots.Contains(RoleSlots.RoleOf(slot))));
            Heard(found.Step, found.Node, found.Error);
        });
        Receive<PluginSwitched>(switched => Heard(switched.Step, switched.Node, switched.Error));
        Receive<SwapCommitted>(committed =>
        {
            _failure ??= committed.Advice;
            Arrive(committed.Step, committed.Node);
        });
        Receive<MemberLost>(lost =>
        {
            _nodes.Remove(lost.Node);
            if (_awaited.ContainsKey(lost.Node))
                Arrive(_step, lost.Node);
        });
    }

    // A node that cannot go back spoils the attempt, which knows how to begin anew.
    private void Heard(int step, string node, string error)
    {
        if (error.Length == 0 || step != _step)
            Arrive(step, node);
        else if (_isUnderTrial)
            GoBack(node.Length == 0 ? error : $"Node {node}: {error}");
        else
            _flow.Run.Tell(new RoleFailed(_flow.Epoch, "exchange", default, $"{Offer.Plugin} {Offer.Old} could not be returned to on node {node}: {error}", Repair.Rewind));
    }

    private void FindUsers() => AskNodes(step => new FindUsers(Offer.Id, step), () =>
    {
        // The ranks of a model form one group: none of them can be made anew alone.
        foreach (var slot in UsingTrainers)
            _users.UnionWith(_roles.Keys.Where(other => RoleSlots.AreRanksOfOne(slot, other)));
        Close(_users, () => SwitchNodes(isBack: false, TryTrainers));
    });

    // ---- Forward ----

    // Trainers before the others, who may read their weights. What has state is made once more after it was tried, because a
    // role takes up its state before its first batch and not after it.
    private void TryTrainers() => Open(UsingTrainers, () =>
        Verify(UsingTrainers, () =>
            Renew(UsingTrainers, () =>
                Publish(TryOthers))));

    private void TryOthers() => Open(UsingOthers, () =>
        Verify(UsingOthers, () =>
            Renew([.. UsingOthers.Where(_state.Images.ContainsKey)], Commit)));

    private void Renew(IReadOnlyCollection<string> slots, Action then) => Close(slots, () => Open(slots, then));

    private void Commit() => Record(() => AskNodes(step => new CommitSwap(Offer.Id, step), () =>
    {
        var advice = _failure ?? "";
        var made = _users.Count == 0 ? "No role of this run holds anything of it." : $"Made anew, and tried on the last batch: {string.Join(", ", _users)}.";
        End(ExitCode.Ok, $"{Offer.Plugin} {Offer.Old} -> {Offer.New} after iteration {Number(_state.Iteration)} in {Seconds()} s. {made}{Lost()} {advice}".TrimEnd());
    }));

    // ---- Back ----

    private void GoBack(string reason)
    {
        (_failure, _isUnderTrial) = (reason, false);
        Close(_users, () => SwitchNodes(isBack: true, () => Open(UsingTrainers, () => Publish(() => Open(UsingOthers, () => End(
            ExitCode.Failed,
            $"{Offer.Plugin} {Offer.Old} stays: {Offer.New} was tried after iteration {Number(_state.Iteration)} and rolled back in {Seconds()} s. {_failure}{Lost()}"))))));
    }

    private string Lost() => _lost.Count == 0
        ? ""
        : $" {string.Join(", ", _lost)} did not return within flow.cancel-grace: its thread is lost until this process ends.";

    private void End(ExitCode exitCode, string message) =>
        Context.Parent.Tell(new SwapEnded(_flow.Epoch, Offer.Id, exitCode, message));

    // ---- One step each ----

    private void Close(IReadOnlyCollection<string> slots, Action then) => AskRoles(slots, step => new CloseRole(step), then);

    private void Verify(IReadOnlyCollection<string> slots, Action then) => AskRoles(slots, step => new VerifyRole(step), then);

    private void Open(IReadOnlyCollection<string> slots, Action then)
    {
        var formation = Formation.NumberOf(_flow.Epoch, ++_formations);
        AskRoles(
            slots,
            step => _flow.Definition.IsSpread
                ? new OpenSavedRole(step, formation, _state.Iteration, _state.Folder!, _isUnderTrial)
                : new OpenRole(step, formation, _state, _isUnderTrial),
            then);
    }

    private void SwitchNodes(bool isBack, Action then) => AskNodes(step => new SwitchPlugin(Offer.Id, step, isBack), then);

    // New trainers have published nothing, and what the old ones published may be gone with them. Readers that are closed
    // take note, and load these first when they are opened.
    private void Publish(Action then)
    {
        if (UsingTrainers.Length == 0 || _readers.Count == 0)
        {
            then();
            return;
        }

        Await(nameof(PublishAgain), then);
        Context.Parent.Tell(new PublishAgain(_step, [.. UsingTrainers.Select(slot => RoleSlots.TrainerOf(slot).Model).Distinct()]));
    }

    private void Record(Action then)
    {
        Await(nameof(RecordSwap), then);
        _flow.Run.Tell(new RecordSwap(Offer.Id, _step, _state.Iteration));
    }

    private void AskRoles(IReadOnlyCollection<string> slots, Func<int, object> question, Action then) =>
        Ask(slots.ToDictionary(slot => slot, slot => _roles[slot]), question, then);

    private void AskNodes(Func<int, object> question, Action then) => Ask(_nodes, question, then);

    private void Ask(IReadOnlyDictionary<string, IActorRef> asked, Func<int, object> question, Action then)
    {
        Await([], then);
        _question = question(_step);
        foreach (var (name, actor) in asked)
            _awaited.Add(name, actor);
        foreach (var actor in asked.Values)
            actor.Tell(_question);
        if (asked.Count == 0)
            then();
    }

    // Who answers within this process is not asked again.
    private void Await(string answer, Action then) => Await([(answer, ActorRefs.Nobody)], then);

    private void Await((string Name, IActorRef Asked)[] answers, Action then)
    {
        _step++;
        _awaited.Clear();
        foreach (var (name, asked) in answers)
            _awaited.Add(name, asked);
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

    private static bool IsTrainer(string slot) => RoleSlots.RoleOf(slot) == RoleSlots.Trainer;

    private sealed record AskAgain;
}
