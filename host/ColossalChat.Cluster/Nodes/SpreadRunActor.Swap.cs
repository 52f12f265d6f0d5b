using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// The part that keeps all nodes on one version of each plugin. Which one is written in the run's folder: an attempt begins
/// when this process uses it, and a node uses it before it hosts a role. While an exchange is under way no role comes or
/// goes; one whose node is lost takes the run back to the checkpoint that the exchange began with.
/// </summary>
internal sealed partial class SpreadRunActor
{
    private readonly Queue<Action> _afterSwap = new();
    private bool _isBringingPlugins;

    protected override void AfterSwap()
    {
        DoWhatWaited();
        LookAtRefused();
        if (_isWaiting)
            TryStart();
        else
            Extend();
    }

    private void DoWhatWaited()
    {
        while (!Swaps.IsUnderWay && _afterSwap.TryDequeue(out var later))
            later();
    }

    // Whoever has roles takes part, also while he is silent or about to leave: he trains the next iteration, or is gone with it.
    // This process does in any case: it writes down what stays.
    private void TellSwaps() => Swaps.Know(_places.Nodes
        .Where(node => node.IsUsable || _places.SlotsOn(node.Card.Name).Count > 0 || node.Card.Name == _spread.Card.Name)
        .ToDictionary(node => node.Card.Name, node => node.Actor));

    private bool IsLater(Action action)
    {
        if (!Swaps.IsUnderWay || _isWaiting || IsClosing)
            return false;
        _afterSwap.Enqueue(action);
        return true;
    }

    private void LoseMember(RunNode node, bool isGone)
    {
        var name = node.Card.Name;
        if (_places.SlotsOn(name) is { Count: > 0 } slots)
            Rewind($"Node {name}, with {string.Join(", ", slots)}, {(isGone ? "is gone" : "does not answer")} while a plugin is exchanged.");
        else
            Attempt.Tell(new MemberLost(name));
    }

    // What the last attempt, or another coordinator, was trying must not meet what the run's folder names.
    private bool HasRecordedPlugins()
    {
        if (Definition.Plugins is not { } plugins)
            return true;
        try
        {
            var recorded = plugins.Recorded();
            if (plugins.Uses(recorded))
                return true;
            if (!_isBringingPlugins)
                Context.ActorSelection($"/user/{MembersActor.NodeActorName}").Tell(new UsePlugins(recorded));
            _isBringingPlugins = true;
        }
        catch (UserErrorException error)
        {
            _isWaiting = false;
            Fail(error.ExitCode, error.Message);
        }

        return false;
    }

    private void Used(PluginsUsed used)
    {
        _isBringingPlugins = false;
        if (used.Error.Length == 0)
        {
            TryStart();
            return;
        }

        _isWaiting = false;
        Fail(used.ExitCode, used.Error);
    }

    // Null when the node may take part.
    private string? DifferencesOf(NodeCard card)
    {
        if (card.Fingerprint == _spread.Fingerprint)
            return null;
        var exchanged = Exchanged();
        var differences = card.DifferencesTo(_spread.Card.Versions, exchanged);
        return differences.Length == 0 && exchanged.Length > 0 ? null : differences;
    }

    private string[] Exchanged()
    {
        try
        {
            return [.. (Definition.Plugins?.Recorded() ?? []).Select(copy => copy.Plugin)];
        }
        catch (UserErrorException error)
        {
            // The attempt says so and fails; until then such a node only waits.
            Note("warning", error.Message);
            return [];
        }
    }
}
