using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Makes the actor of a role slot, on whichever node it is to run.</summary>
internal static class RoleProps
{
    /// <summary>The actor of a slot.</summary>
    /// <param name="flow">What all actors of the attempt share; its definition is this node's.</param>
    /// <param name="slot">Such as <c>rollout</c>, <c>rollout.2</c> or <c>trainers.policy@1</c>.</param>
    /// <param name="from">State to go on from; null at the beginning.</param>
    public static Props Of(FlowContext flow, string slot, RunState? from)
    {
        var roles = flow.Definition.Roles;
        switch (RoleSlots.RoleOf(slot))
        {
            case RoleSlots.Prompts:
                return Props.Create(() => new PromptActor(flow, roles.Prompts!, from));
            case RoleSlots.Rollout:
                return Props.Create(() => new RolloutActor(flow, slot, roles.Rollout!, from));
            case RoleSlots.Experience:
                return Props.Create(() => new ExperienceActor(flow, roles.Experience!, from));
            case RoleSlots.Batches:
                return Props.Create(() => new BatchActor(flow, roles.Batches!, from));
            case RoleSlots.Trainer:
                var id = RoleSlots.TrainerOf(slot);
                var make = roles.Trainers[id];
                return Props.Create(() => new TrainerActor(flow, id, make, from));
            default:
                var (kind, scorer) = roles.Scorers.First(scorer => RoleSlots.Of(scorer.Key) == RoleSlots.RoleOf(slot));
                return Props.Create(() => new ScoringActor(flow, slot, kind, scorer, from));
        }
    }

    /// <summary>Slots that every run of a plan has, each role once.</summary>
    public static IEnumerable<string> SlotsOf(StagePlan plan, RunRoles roles)
    {
        foreach (var trainer in roles.Trainers.Keys.Where(trainer => plan.ModelsTrained.Contains(trainer.Model)))
            yield return RoleSlots.Of(trainer);
        if (plan.Flow == FlowKind.Offline)
        {
            yield return RoleSlots.Batches;
            yield break;
        }

        yield return RoleSlots.Prompts;
        yield return RoleSlots.Rollout;
        yield return RoleSlots.Experience;
        foreach (var kind in plan.ScoresNeeded)
            yield return RoleSlots.Of(kind);
    }
}
