using Akka.Actor;

namespace ColossalChat.Cluster;

/// <summary>
/// The part that goes on without nodes that are of no use now: some differ from the coordinator's, some cannot make the roles
/// that they were given. Neither is a reason to end a run that others can make.
/// </summary>
internal sealed partial class SpreadRunActor
{
    private readonly Dictionary<string, (NodeCame Came, string Differences)> _refused = [];

    private void Refuse(NodeCame came, string differences)
    {
        var name = came.Node.Card.Name;
        var isKnown = _refused.TryGetValue(name, out var before) && before.Differences == differences;
        _refused[name] = (came, differences);
        if (!isKnown)
            Note("nodes", $"Node {name} is not used: {differences}. Give all nodes the same program, plugins and configuration.");
    }

    // A plugin that is exchanged is the same everywhere from then on, whatever a node was started with.
    private void LookAtRefused()
    {
        foreach (var (came, _) in _refused.Values.ToArray())
            Come(came);
    }

    // Nothing of the run is on a node that is not used.
    private void Leave(NodeLeaving leaving)
    {
        if (_refused.TryGetValue(leaving.Node, out var refused))
            refused.Came.Node.Actor.Tell(new LeaveNow());
        else
            Release(leaving.Node);
    }

    // Where a late node lacks something, such as access to the recorded version of a plugin, the run has all that it had before.
    // One that hosts other roles too is no late node; what it has may be the only one.
    protected override bool IsSpared(RoleFailed failed, bool isLastTry)
    {
        var mayBeTriedAgain = failed.Repair != Repair.None && failed.IsOfRole && !isLastTry;
        if (failed.Batch != default || !_places.IsLate(failed.Role) || mayBeTriedAgain)
            return false;
        if (_places.NodeOf(failed.Role) is not { } node)
            return true; // Taken away since.
        var (name, slots) = (node.Card.Name, _places.SlotsOn(node.Card.Name));
        if (!slots.All(slot => _places.IsLate(slot) && _places.IsHostedBeside(name, slot)))
            return false;
        _places.Set(node with { IsUnfit = true });
        Note("warning", $"Node {name} is not used any more while others do: {failed.Reason}");
        if (Swaps.IsUnderWay && slots.Any(_opened.Contains))
            Rewind($"Node {name} cannot go on with {string.Join(", ", slots)} while a plugin is exchanged.");
        else
            TakeAway(node, slots, "cannot be hosted"); // An exchange that waits for it to open does without.
        return true;
    }

    // Better one that could not do it once, perhaps for a reason that has passed, than none.
    private bool HasPardoned(IReadOnlyCollection<string> roles)
    {
        RunNode[] unfit = [.. _places.Nodes.Where(node => node.IsUnfit && roles.Any(node.Has))];
        foreach (var node in unfit)
            _places.Set(node with { IsUnfit = false });
        if (unfit.Length > 0)
            TellSwaps();
        return unfit.Length > 0;
    }
}
