using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>A node that takes part in a run.</summary>
/// <param name="Card">Who it is.</param>
/// <param name="Actor">Its node actor.</param>
internal sealed record RunNode(NodeCard Card, IActorRef Actor)
{
    /// <summary>Heartbeats come from it.</summary>
    public bool IsReachable { get; init; } = true;

    /// <summary>It wants to go, and gets nothing more.</summary>
    public bool IsLeaving { get; init; }

    /// <summary>It could not host what others host; nothing is asked of it while others can, until it comes again.</summary>
    public bool IsUnfit { get; init; }

    public bool IsUsable => IsReachable && !IsLeaving && !IsUnfit;

    public bool Has(string role) => Card.Roles.Contains(role);
}

/// <summary>Where all roles of an attempt run.</summary>
/// <param name="Slots">The node actor of each slot; null for the coordinator's process.</param>
/// <param name="Meet">Where trainer ranks meet; empty when they are all on one node.</param>
internal sealed record Placement(IReadOnlyDictionary<string, IActorRef?> Slots, string Meet);

/// <summary>
/// Decides which node hosts which role. Trainers, critic and the like stay where they are; a role that computes with
/// published weights goes elsewhere when its node is lost, and more rollout nodes than asked for are used as they come.
/// </summary>
internal sealed class RunPlaces(StagePlan plan, RunRoles roles, ClusterOptions options)
{
    private readonly SortedDictionary<string, RunNode> _nodes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _slots = [];
    private readonly Dictionary<string, int> _numbers = [];
    private readonly HashSet<string> _late = [];

    public IEnumerable<RunNode> Nodes => _nodes.Values;

    private IEnumerable<TrainerId> Trainers => roles.Trainers.Keys.Where(trainer => plan.ModelsTrained.Contains(trainer.Model));

    private IEnumerable<string> Readers => plan.Flow == FlowKind.Offline ? [] : [RoleSlots.Rollout, .. plan.ScoresNeeded.Select(RoleSlots.Of)];

    public RunNode? Find(string name) => _nodes.GetValueOrDefault(name);

    public void Set(RunNode node) => _nodes[node.Card.Name] = node;

    public void Remove(string name) => _nodes.Remove(name);

    /// <summary>Slots whose roles run on a node.</summary>
    public IReadOnlyList<string> SlotsOn(string node) => [.. _slots.Where(slot => slot.Value == node).Select(slot => slot.Key).Order(StringComparer.Ordinal)];

    /// <summary>The node of a slot; null when it has none, or not any more.</summary>
    public RunNode? NodeOf(string slot) => _slots.TryGetValue(slot, out var node) ? Find(node) : null;

    /// <summary>True for a slot that was placed while the attempt was going on already, whether it is still there or not.</summary>
    public bool IsLate(string slot) => _late.Contains(slot);

    /// <summary>True when the role of a slot runs on another node than this one too.</summary>
    public bool IsHostedBeside(string node, string slot) =>
        _slots.Any(other => other.Value != node && RoleSlots.RoleOf(other.Key) == RoleSlots.RoleOf(slot));

    /// <summary>Forgets where a role ran.</summary>
    public void Lose(string slot) => _slots.Remove(slot);

    /// <summary>True while somebody hosts the role.</summary>
    public bool IsHosted(string role) => _slots.Keys.Any(slot => RoleSlots.RoleOf(slot) == role);

    /// <summary>Places all roles of a new attempt.</summary>
    /// <param name="isFirst">
    /// Whether nobody began an attempt of the run before. Only the first waits for as many nodes as the configuration names: later
    /// some may be gone for good, and one of each role is enough to go on with; others are used as they come.
    /// </param>
    /// <param name="missing">What is missing for it, one sentence each; nothing is placed then.</param>
    public Placement? TryPlace(bool isFirst, out IReadOnlyList<string> missing)
    {
        var problems = new List<string>();
        _slots.Clear();
        _numbers.Clear();
        _late.Clear();
        PlaceTrainers(problems);
        foreach (var role in Readers)
            PlaceReaders(role, isFirst ? options.Of(role).Nodes : 1, problems);
        missing = problems;
        if (problems.Count > 0)
        {
            _slots.Clear();
            return null;
        }

        var slots = RoleProps.SlotsOf(plan, roles).Where(IsCoordinators).ToDictionary(slot => slot, _ => (IActorRef?)null);
        foreach (var (slot, node) in _slots)
            slots[slot] = _nodes[node].Actor;
        return new Placement(slots, MeetOf());
    }

    /// <summary>Gives lost roles new places, and roles that are wanted on every node to nodes that came.</summary>
    /// <returns>New slots and their nodes.</returns>
    public IReadOnlyList<SlotPlaced> Extend()
    {
        var placed = new List<SlotPlaced>();
        foreach (var role in Readers)
            while (Wants(role) && NextFor(role) is { } node)
                placed.Add(new SlotPlaced(Place(role, node), node.Actor));
        _late.UnionWith(placed.Select(place => place.Slot));
        return placed;
    }

    private void PlaceTrainers(List<string> problems)
    {
        var ranks = Trainers.Select(trainer => trainer.Rank).DefaultIfEmpty(-1).Max() + 1;
        var perNode = options.Of(RoleSlots.Trainer).PerNode;
        var nodes = _nodes.Values.Where(node => node.IsUsable && node.Has(RoleSlots.Trainer)).ToArray();
        if (nodes.Length * perNode < ranks)
        {
            problems.Add($"{ranks} trainer ranks, {perNode} a node, need {(ranks + perNode - 1) / perNode} nodes with role {RoleSlots.Trainer}; {nodes.Length} are there");
            return;
        }

        foreach (var trainer in Trainers)
            _slots[RoleSlots.Of(trainer)] = nodes[trainer.Rank / perNode].Card.Name;
    }

    private void PlaceReaders(string role, int fewest, List<string> problems)
    {
        var there = _nodes.Values.Count(node => node.IsUsable && node.Has(role));
        if (there < fewest)
        {
            problems.Add($"role {role} needs {fewest} nodes; {there} are there");
            return;
        }

        while (Wants(role) && NextFor(role) is { } node)
            Place(role, node);
    }

    // Every rollout node is of use; of the others one more would only hold one more copy of a model.
    private bool Wants(string role) =>
        role == RoleSlots.Rollout || CountOf(role) < options.Of(role).Nodes * options.Of(role).PerNode;

    private int CountOf(string role) => _slots.Keys.Count(slot => RoleSlots.RoleOf(slot) == role);

    // Beside rank 0 of a trainer first: what it publishes is there already.
    private RunNode? NextFor(string role) => _nodes.Values
        .Where(node => node.IsUsable && node.Has(role))
        .Select(node => (Node: node, Slots: SlotsOn(node.Card.Name)))
        .Where(node => node.Slots.Count(slot => RoleSlots.RoleOf(slot) == role) < options.Of(role).PerNode)
        .OrderByDescending(node => role != RoleSlots.Rollout && node.Slots.Any(slot => RoleSlots.RoleOf(slot) == RoleSlots.Trainer && RoleSlots.TrainerOf(slot).Rank == 0))
        .ThenBy(node => node.Slots.Count)
        .Select(node => node.Node)
        .FirstOrDefault();

    private string Place(string role, RunNode node)
    {
        var number = _numbers[role] = _numbers.GetValueOrDefault(role) + 1;
        var slot = RoleSlots.Nth(role, number);
        _slots[slot] = node.Card.Name;
        return slot;
    }

    // Memory of one machine is quicker than its network.
    private string MeetOf()
    {
        var nodes = Trainers.OrderBy(trainer => trainer.Rank).Select(trainer => _nodes[_slots[RoleSlots.Of(trainer)]].Card).Distinct().ToArray();
        if (nodes.Length < 2)
            return "";
        return nodes.All(node => node.Machine == nodes[0].Machine)
            ? $"dir:{Path.Combine(Path.GetTempPath(), $"colossalchat-{options.Name}-{nodes[0].Name}")}"
            : $"tcp://{nodes[0].Host}:{nodes[0].MeetPort}";
    }

    private static bool IsCoordinators(string slot) => RoleSlots.RoleOf(slot) is RoleSlots.Prompts or RoleSlots.Experience or RoleSlots.Batches;
}
