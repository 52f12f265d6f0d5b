using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Supervises a run whose roles are hosted by nodes. A node that falls silent loses its rollout and scoring roles at once to
/// others; one that is gone with trainers takes the run back to the last checkpoint.
/// </summary>
internal sealed partial class SpreadRunActor : RunActor
{
    private const string Wait = "wait for nodes";
    private readonly SpreadOptions _spread;
    private readonly RunPlaces _places;
    private RunState? _from;
    private readonly LeavingNodes _leaving = new();
    private readonly HashSet<string> _opened = [];
    private readonly HashSet<string> _stateful = [];
    private readonly Dictionary<string, (DateTimeOffset Heard, double ClockAhead, IReadOnlyDictionary<string, double> Hosted)> _heard = [];
    private readonly ClusterStatusFile _status;
    private CancellationTokenRegistration _onStop;
    private bool _isWaiting;
    private bool _isFirst;
    private bool _isReplaced;
    private bool _areTwo;
    private string _lastMissing = "";

    public SpreadRunActor(RunDefinition definition, SpreadOptions spread, TaskCompletionSource<RunEnd> end, CancellationToken stop)
        : base(definition, end, stop)
    {
        _spread = spread;
        _places = new RunPlaces(definition.Plan, definition.Roles, spread.Cluster);
        _status = new ClusterStatusFile(definition.RunFolder);
        Receive<NodeCame>(Come);
        Receive<NodeSilent>(silent => Lose(silent.Node, isGone: false));
        Receive<NodeGone>(gone => Lose(gone.Node, isGone: true));
        Receive<NodeLeaving>(Leave);
        Receive<NodeReported>(Hear);
        Receive<NodeAskedToLeave>(asked => Sender.Tell(AskToLeave(asked.Node)));
        Receive<Beat>(_ => OnBeat());
        Receive<StopWanted>(_ => InterruptIfWaiting());
        Receive<WaitedLongEnough>(_ => NowhereLeft());
        Receive<PluginsUsed>(Used);
        Receive<ReaderOpened>(opened => opened.Epoch == Epoch, opened =>
        {
            _opened.Add(opened.Slot);
            _ = opened.HasState ? _stateful.Add(RoleSlots.RoleOf(opened.Slot)) : _stateful.Remove(RoleSlots.RoleOf(opened.Slot));
        });
    }

    protected override void PreStart()
    {
        Context.ActorOf(Props.Create(() => new MembersActor()), "members");
        Timers.StartPeriodicTimer("beat", new Beat(), TimeSpan.FromSeconds(1));
        var self = Self;
        _onStop = Stop.Register(() => self.Tell(new StopWanted()));
        base.PreStart();
    }

    protected override void PostStop()
    {
        _onStop.Dispose();
        base.PostStop();
    }

    protected override void StartAttempt(RunState? from)
    {
        (_from, _isWaiting, _isFirst) = (from, true, !_spread.Term.HasBegun);
        CountFrom(_spread.Term.Next(above: Epoch) - 1);
        if (Stop.IsCancellationRequested)
        {
            Interrupt();
            return;
        }

        Timers.StartSingleTimer(Wait, new WaitedLongEnough(), _spread.Cluster.WaitForNodes);
        LookAtRefused();
        TryStart();
    }

    // A run that is going on ends after its iteration; one that waits for nodes has nothing to finish.
    private void InterruptIfWaiting()
    {
        if (!_isWaiting)
            return;
        _isWaiting = false;
        Interrupt();
    }

    protected override void BeforeAttempt()
    {
        _opened.Clear();
        _stateful.Clear();
        _spread.Term.Begin(Epoch);
    }

    protected override void AfterAttempt()
    {
        foreach (var node in _places.Nodes)
            node.Actor.Tell(new EndEpoch(Epoch));
    }

    // Trainers read their own on their nodes.
    protected override RunState Read(string checkpoint) => SpreadOptions.Read(checkpoint).State;

    private void TryStart()
    {
        if (!_isWaiting || Swaps.IsRecording)
            return;
        if (_places.TryPlace(_isFirst, out var missing) is not { } placement)
        {
            if (HasPardoned(ClusterOptions.RoleNames))
            {
                TryStart();
                return;
            }

            if (!Timers.IsTimerActive(Wait))
                Timers.StartSingleTimer(Wait, new WaitedLongEnough(), _spread.Cluster.WaitForNodes);
            var text = string.Join("; ", missing);
            if (text != _lastMissing)
                Note("nodes", $"Waiting for nodes: {text}.");
            _lastMissing = text;
            return;
        }

        _lastMissing = "";
        if (!HasRecordedPlugins())
            return;
        _isWaiting = false;
        Timers.Cancel(Wait);
        TellSwaps();
        Note("nodes", "Roles are placed: " + string.Join(", ", _places.Nodes.Select(node => (node.Card.Name, Slots: _places.SlotsOn(node.Card.Name)))
            .Where(node => node.Slots.Count > 0).Select(node => $"{string.Join(' ', node.Slots)} on {node.Name}")) + ".");
        WarnOfTwo();
        LetGo();
        try
        {
            StartAttempt(_from, placement.Slots, placement.Meet);
            DoWhatWaited();
        }
        catch (Exception error) when (error is UserErrorException or IOException or UnauthorizedAccessException)
        {
            Fail(error is UserErrorException { ExitCode: var code } ? code : ExitCode.Resource, error.Message);
        }
    }

    private void OnBeat()
    {
        try
        {
            _spread.Term.Require();
        }
        catch (UserErrorException error)
        {
            // The nodes are another's: what this one still asks of them, they ignore.
            if (!_isReplaced)
                Fail(error.ExitCode, error.Message);
            (_isReplaced, _isWaiting) = (true, false);
            return;
        }
        catch (Exception)
        {
            // The storage may be there again the next second, and a file that somebody spoilt be whole again.
            return;
        }

        LetGo(); // They may not have heard it.
        _status.Write(Status());
    }

    // Not while nodes are still coming.
    private void WarnOfTwo()
    {
        var areTwo = _places.Nodes.Count() == 2;
        if (areTwo && !_areTwo)
            Note("warning", ClusterOptions.TwoNodes);
        _areTwo = areTwo;
    }

    private void Come(NodeCame came)
    {
        var card = came.Node.Card;
        if (DifferencesOf(card) is { } differences)
        {
            Refuse(came, differences);
            return;
        }

        _refused.Remove(card.Name);

        if (_places.Find(card.Name) is null)
        {
            Note("nodes", $"Node {card.Name} came, with roles {string.Join(", ", card.Roles)}.");
            if (Math.Abs((card.Clock - DateTimeOffset.UtcNow).TotalSeconds) > _spread.Cluster.ClockSkew)
                Note("nodes", $"The clock of {card.Name} differs by {(card.Clock - DateTimeOffset.UtcNow).TotalSeconds:0.0} s; times in its log are off by as much.");
        }
        else
        {
            Note("nodes", $"Node {card.Name} can be reached again.");
        }

        _places.Set(came.Node with { IsLeaving = _leaving.Contains(card.Name) });
        LetGo();
        TellSwaps();
        if (_isWaiting)
        {
            TryStart();
            return;
        }

        WarnOfTwo();
        Extend();
    }

    private void Hear(NodeReported reported)
    {
        var card = reported.Card;
        _heard[card.Name] = (DateTimeOffset.UtcNow, (card.Clock - DateTimeOffset.UtcNow).TotalSeconds, reported.Hosted);
        if (_places.Find(card.Name) is not { } node)
            return;
        _places.Set(node with { Card = card }); // With a port that is free now.
        if (_isWaiting || IsClosing || Swaps.IsUnderWay)
            return;
        // It may not have heard that these went to others.
        foreach (var slot in reported.Hosted.Keys.Where(RoleTable.IsReader).Except(_places.SlotsOn(card.Name)))
            node.Actor.Tell(new EndRole(Epoch, slot));
    }

    private void Lose(string name, bool isGone)
    {
        _refused.Remove(name);
        if (_places.Find(name) is not { } node)
            return;
        Note("nodes", isGone ? $"Node {name} is gone." : $"Node {name} does not answer.");
        if (isGone)
        {
            _places.Remove(name);
            _leaving.Remove(name);
        }
        else
            _places.Set(node with { IsReachable = false });
        TellSwaps();
        if (_isWaiting || IsClosing)
            return;
        WarnOfTwo();
        if (Swaps.IsUnderWay)
        {
            LoseMember(node, isGone);
            return;
        }

        TakeAway(node, "is lost");
        if (isGone && _places.SlotsOn(name) is { Count: > 0 } kept)
            Rewind($"Node {name} is gone with {string.Join(", ", kept)}.");
    }

    // Its batches go to others at once. What the node may still answer is the same and comes too late. A role with a state of
    // its own stays where it is, like a trainer: another could only begin with what was saved.
    private void TakeAway(RunNode node, string why)
    {
        string[] moved = [.. _places.SlotsOn(node.Card.Name).Where(slot => RoleTable.IsReader(slot) && !_stateful.Contains(RoleSlots.RoleOf(slot)))];
        if (moved.Length > 0)
            TakeAway(node, moved, why);
    }

    private void TakeAway(RunNode node, IReadOnlyList<string> moved, string why)
    {
        foreach (var slot in moved)
        {
            _places.Lose(slot);
            node.Actor.Tell(new EndRole(Epoch, slot));
        }

        Note("restart", $"{string.Join(", ", moved)} on {node.Card.Name} {why}; the batches go to others.");
        Attempt.Tell(new SlotsLost(moved));
        TellSwaps();
        Extend();
    }

    private void Extend()
    {
        if (Attempt.IsNobody() || IsClosing || Swaps.IsUnderWay)
            return;
        foreach (var placed in _places.Extend())
        {
            Note("nodes", $"{placed.Slot} is hosted by {_places.Nodes.First(node => node.Actor.Equals(placed.Node)).Card.Name}.");
            Attempt.Tell(placed);
            TellSwaps();
        }

        if (Orphans.Any())
        {
            if (HasPardoned([.. Orphans]))
                Extend();
            else if (!Timers.IsTimerActive(Wait))
                Timers.StartSingleTimer(Wait, new WaitedLongEnough(), _spread.Cluster.WaitForNodes);
        }
        else
        {
            Timers.Cancel(Wait);
        }
    }

    private IEnumerable<string> Orphans => Definition.Plan.Flow == FlowKind.Offline
        ? []
        : Definition.Plan.ScoresNeeded.Select(RoleSlots.Of).Prepend(RoleSlots.Rollout).Where(role => !_places.IsHosted(role));

    private void NowhereLeft()
    {
        var missing = _isWaiting ? _lastMissing : string.Join("; ", Orphans.Select(role => $"role {role} has no node"));
        if (missing.Length > 0)
            Fail(ExitCode.Resource, $"A role has nowhere to run: {missing}. Nothing changed within cluster.wait-for-nodes = {_spread.Cluster.WaitForNodes}. "
                + "Start nodes with these roles; the run goes on from its last checkpoint.");
    }

    private void Release(string name)
    {
        if (_places.Find(name) is not { } node || IsLater(() => Release(name)))
            return;
        if (_leaving.Ask(name, LastIteration))
        {
            _places.Set(node with { IsLeaving = true });
            TellSwaps();
            Note("nodes", $"Node {name} leaves.");
            if (!_isWaiting && !IsClosing)
            {
                TakeAway(node, "leaves");
                if (_places.SlotsOn(name).Count > 0)
                    Attempt.Tell(new SaveSoon()); // What its roles know first; nothing is trained twice then.
            }
        }

        LetGo();
    }

    // A checkpoint that was under way when a node was asked does not have what the node did since.
    protected override void AfterCheckpoint(long iteration)
    {
        if (_leaving.Saved(iteration) && !IsClosing)
            Attempt.Tell(new SaveSoon());
        LetGo();
    }

    // Told more than once it is the same, and told once it may be lost.
    private void LetGo()
    {
        foreach (var name in _leaving.Names)
            if (_leaving.MayGo(name, _places.SlotsOn(name).Count > 0))
                _places.Find(name)?.Actor.Tell(new LeaveNow());
    }

    private ControlAnswer AskToLeave(string name)
    {
        if (_places.Find(name) is not { } node)
            return new ControlAnswer(ExitCode.NotFound, $"There is no node {name}; there are {string.Join(", ", _places.Nodes.Select(known => known.Card.Name))}.");
        Release(name);
        return new ControlAnswer(ExitCode.Ok, $"Node {name} is leaving{(_places.SlotsOn(name).Count > 0 ? $" once the state of {string.Join(", ", _places.SlotsOn(name))} is saved" : "")}.");
    }

    private ClusterStatus Status() => new(
        DateTimeOffset.UtcNow, _spread.Card.Name, Epoch, LastIteration, _isWaiting ? _lastMissing : "",
        [.. _places.Nodes.Select(node => new NodeStatus(
            node.Card.Name, node.Card.Host, node.Card.Roles, node.Card.Versions.GetValueOrDefault("program", ""), node.IsReachable, node.IsLeaving,
            _heard.TryGetValue(node.Card.Name, out var heard) ? heard.Heard : default,
            heard.ClockAhead,
            _places.SlotsOn(node.Card.Name).ToDictionary(slot => slot, slot => heard.Hosted?.GetValueOrDefault(slot) ?? 0)))]);

    private sealed record WaitedLongEnough;

    private sealed record Beat;

    private sealed record StopWanted;
}

/// <summary>What a run on several nodes has besides.</summary>
/// <param name="Cluster">Section <c>cluster</c>.</param>
/// <param name="Card">The coordinator's own node.</param>
/// <param name="Term">Numbers the attempts of all coordinators of the run.</param>
internal sealed record SpreadOptions(ClusterOptions Cluster, NodeCard Card, CoordinatorTerm Term)
{
    public string Fingerprint => Card.Fingerprint;

    /// <summary>A checkpoint without the trainers' states, which are read where they are needed.</summary>
    public static Checkpoint Read(string checkpoint) => Checkpoints.Open(checkpoint, slot => RoleSlots.RoleOf(slot) != RoleSlots.Trainer);
}
