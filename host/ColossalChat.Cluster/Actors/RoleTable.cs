using System.Collections.Immutable;
using Akka.Actor;

namespace ColossalChat.Cluster;

/// <summary>
/// The role actors of one attempt: children of its iteration actor, or hosted by nodes. Which actor a slot has is known once
/// its role was opened.
/// </summary>
/// <param name="context">The iteration actor's.</param>
/// <param name="flow">What all actors of the attempt share.</param>
/// <param name="from">State to go on from; null at the beginning.</param>
internal sealed class RoleTable(IActorContext context, FlowContext flow, RunState? from)
{
    private readonly Dictionary<string, IActorRef?> _nodes = [];
    private readonly Dictionary<string, IActorRef> _roles = [];
    private readonly Dictionary<string, IActorRef> _stateful = [];
    private readonly HashSet<string> _readerRoles = [];

    public ActorSystem System => context.System;

    public IActorRef Prompts => _roles[RoleSlots.Prompts];

    public IActorRef Experience => _roles[RoleSlots.Experience];

    public IActorRef Batches => _roles[RoleSlots.Batches];

    /// <summary>Actors of all roles that are open, by slot.</summary>
    public IReadOnlyDictionary<string, IActorRef> Roles => _roles;

    /// <summary>Slots of all roles, opened or not.</summary>
    public IEnumerable<string> Slots => _nodes.Keys;

    /// <summary>Every rank of each model.</summary>
    public IReadOnlyDictionary<TrainerId, IActorRef> Trainers => _roles
        .Where(role => RoleSlots.RoleOf(role.Key) == RoleSlots.Trainer)
        .ToDictionary(role => RoleSlots.TrainerOf(role.Key), role => role.Value);

    /// <summary>Actors whose roles have state, by slot.</summary>
    public IReadOnlyDictionary<string, IActorRef> Stateful => _stateful;

    /// <summary>Roles that compute with published weights and that the attempt cannot do without.</summary>
    public IEnumerable<string> ReaderRoles => _readerRoles;

    /// <summary>Actors that compute with published weights, by slot.</summary>
    public IReadOnlyDictionary<string, IActorRef> Readers =>
        _roles.Where(role => IsReader(role.Key)).ToImmutableSortedDictionary(role => role.Key, role => role.Value, StringComparer.Ordinal);

    /// <summary>True when the slot's actor is one of another process, to which no memory of this one can be passed.</summary>
    public bool IsElsewhere(string slot) => _nodes.GetValueOrDefault(slot) is not null;

    public static bool IsReader(string slot) =>
        RoleSlots.RoleOf(slot) is not (RoleSlots.Prompts or RoleSlots.Experience or RoleSlots.Batches or RoleSlots.Trainer);

    /// <summary>Has a role hosted.</summary>
    /// <param name="slot">Whose.</param>
    /// <param name="node">The node that hosts it; null for this process.</param>
    public void Host(string slot, IActorRef? node)
    {
        _nodes[slot] = node;
        if (IsReader(slot))
            _readerRoles.Add(RoleSlots.RoleOf(slot));
        if (node is null)
            context.ActorOf(RoleProps.Of(flow, slot, from), slot);
        else
            node.Tell(Request(slot));
    }

    /// <summary>Asks again for roles that are not open yet: the request may have been lost.</summary>
    public void HostAgain()
    {
        foreach (var (slot, node) in _nodes.Where(node => !_roles.ContainsKey(node.Key)))
            node?.Tell(Request(slot));
    }

    /// <summary>A role was opened: only now is it known who it is and whether it has state. False for one that was given up.</summary>
    public bool Opened(RoleOpened opened, IActorRef actor)
    {
        if (!_nodes.ContainsKey(opened.Role))
            return false;
        _roles[opened.Role] = actor;
        if (opened.Facts.HasState)
            _stateful[opened.Role] = actor;
        else
            _stateful.Remove(opened.Role);
        return true;
    }

    /// <summary>True for a role that has state, or is to take some up when it opens.</summary>
    public bool HasState(string slot) =>
        _roles.ContainsKey(slot) ? _stateful.ContainsKey(slot) : _nodes.ContainsKey(slot) && from?.Images.ContainsKey(slot) == true;

    /// <summary>The node of a role without state is gone.</summary>
    public void Lose(string slot)
    {
        _nodes.Remove(slot);
        _roles.Remove(slot);
    }

    /// <summary>Who takes batches: the given readers, by role.</summary>
    /// <param name="ready">Slots that have the newest weights.</param>
    public Pools PoolsOf(IReadOnlySet<string> ready)
    {
        var pools = Readers.Where(reader => ready.Contains(reader.Key)).ToLookup(reader => RoleSlots.RoleOf(reader.Key), reader => reader.Value);
        return new Pools(
            [.. pools[RoleSlots.Rollout]],
            [.. flow.Definition.Plan.ScoresNeeded.Select(kind => (IReadOnlyList<IActorRef>)[.. pools[RoleSlots.Of(kind)]])]);
    }

    // Whoever has no state reads none: by the time a reader is hosted elsewhere, that checkpoint may be gone.
    private HostRole Request(string slot) => new(
        flow.Epoch, slot, HasSaved(slot) ? from!.Folder! : "", flow.Meet, flow.Run, flow.Iteration, flow.Definition.Plugins?.InUse ?? []);

    private bool HasSaved(string slot) => from is not null && (RoleSlots.RoleOf(slot) == RoleSlots.Trainer || from.Images.ContainsKey(slot));
}
