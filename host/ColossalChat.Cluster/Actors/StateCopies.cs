using Akka.Actor;

namespace ColossalChat.Cluster;

/// <summary>
/// Copies of a run's state: has all stateful roles make theirs, and reuses the memory of copies that nobody needs any more.
/// There are never more than two: the one to go back to and the one that is being written.
/// </summary>
internal sealed class StateCopies
{
    private const int Most = 2;
    private readonly FlowContext _flow;
    private readonly RoleTable _roles;
    private RunState? _spare;
    private RunState? _newest;
    private int _copies;
    private long _number;

    public StateCopies(FlowContext flow, RoleTable roles, RunState? from) =>
        (_flow, _roles, _copies) = (flow, roles, from is not null && flow.Definition.Flow.SafePointShare > 0 ? 1 : 0);

    /// <summary>True when another copy may be made.</summary>
    public bool HasRoom => _spare is not null || _copies < Most;

    /// <summary>A copy is no longer needed.</summary>
    public void SetFree(RunState state) => _spare = state;

    /// <summary>Answers that complete the next copy.</summary>
    public IEnumerable<string> Answers(long iteration) => _roles.Stateful.Keys.Select(slot => Answer(iteration, slot));

    public static string Answer(long iteration, string slot) => $"captured {iteration} {slot}";

    /// <summary>Begins a copy; it is complete when all <see cref="Answers"/> are in.</summary>
    /// <param name="state">What it holds besides the roles' states.</param>
    public RunState Begin(RunState state)
    {
        var spare = _spare;
        _spare = null;
        if (spare is null)
            _copies++;
        _number++;
        _newest = state with
        {
            Images = _roles.Stateful.Keys.ToDictionary(
                slot => slot, slot => spare?.Images.GetValueOrDefault(slot) ?? new StateImage(slot, _flow.Definition.RunFolder)),
        };
        Ask();
        return _newest;
    }

    /// <summary>Asks all roles for their part of the copy that was begun last.</summary>
    public void Ask()
    {
        foreach (var (slot, actor) in _roles.Stateful)
            actor.Tell(_roles.IsElsewhere(slot)
                ? new CaptureShard(_newest!.Iteration, _number)
                : new CaptureState(_newest!.Iteration, _number, _newest.Images[slot]));
    }

    /// <summary>A role on a node keeps its part there; false when it is one of an older copy.</summary>
    public bool Take(ShardCaptured captured)
    {
        if (captured.Number != _number || _newest?.Images.GetValueOrDefault(captured.Slot) is not { } image || image.Kept is RemoteShard kept && kept.Number == _number)
            return false;
        image.Begin();
        image.Take(new RemoteShard(captured, _roles.System, _flow.Cancel));
        return true;
    }

    /// <summary>The next attempt makes copies of its own.</summary>
    public void Release() => _spare?.Release();
}
