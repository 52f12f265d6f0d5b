using System.Collections.Immutable;

namespace ColossalChat.Cluster;

/// <summary>
/// Lets the trainer groups of one iteration step together: a step is applied when the gradients of all members that
/// have it are finite, and skipped by all of them otherwise.
/// </summary>
/// <param name="Steps">Steps of each member; null until it has begun.</param>
/// <param name="Current">The step that members compute now.</param>
/// <param name="IsFinite">Flags of the current step.</param>
internal sealed record StepGate(
    ImmutableDictionary<TrainerId, int?> Steps, int Current, ImmutableDictionary<TrainerId, bool> IsFinite)
{
    public static StepGate Of(IEnumerable<TrainerId> members) => new(
        members.ToImmutableDictionary(member => member, _ => (int?)null), 0, ImmutableDictionary<TrainerId, bool>.Empty);

    public StepGate Begun(TrainerId member, int steps) =>
        Steps.TryGetValue(member, out var known) && known is null ? this with { Steps = Steps.SetItem(member, steps) } : this;

    /// <summary>True when all members have begun.</summary>
    public bool HaveAllBegun => Steps.Values.All(steps => steps is not null);

    /// <summary>With a member's flag; flags of other steps are late and change nothing.</summary>
    public StepGate Computed(TrainerId member, int step, bool isFinite) =>
        step == Current && Steps.ContainsKey(member) ? this with { IsFinite = IsFinite.SetItem(member, isFinite) } : this;

    /// <summary>What the current step's members do; null while one of them is missing or no step is left.</summary>
    public StepVerdict? Verdict
    {
        get
        {
            // Until all have begun nobody knows who has this step.
            if (!HaveAllBegun)
                return null;
            var members = Steps.Where(entry => entry.Value > Current).Select(entry => entry.Key).ToImmutableArray();
            if (members.IsEmpty || !members.All(IsFinite.ContainsKey))
                return null;
            var overflowed = members.Where(member => !IsFinite[member]).ToImmutableArray();
            return new StepVerdict(Current, overflowed.IsEmpty, members, overflowed);
        }
    }

    /// <summary>Open for the next step.</summary>
    public StepGate Next() => this with { Current = Current + 1, IsFinite = IsFinite.Clear() };
}

/// <summary>What to do with one step.</summary>
/// <param name="Step">Which.</param>
/// <param name="Apply">False when all skip it.</param>
/// <param name="Members">Who takes part.</param>
/// <param name="Overflowed">Whose gradients were not finite.</param>
internal sealed record StepVerdict(int Step, bool Apply, ImmutableArray<TrainerId> Members, ImmutableArray<TrainerId> Overflowed);
