using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Ranks;

namespace ColossalChat.Host.Runs;

/// <summary>Turns the chosen roles into makers: actors make their roles themselves, again after a failure.</summary>
internal static class RoleMakers
{
    /// <summary>Makers of the roles that the plan needs. Each reads the settings when it makes a role, and keeps none of them.</summary>
    public static RunRoles Of(RunBinding binding, NodeContext node, TrainerRanks ranks)
    {
        var plan = binding.Current.Plan;
        var isOnline = plan.Flow == FlowKind.Online;
        return new RunRoles
        {
            Prompts = isOnline ? Maker(binding, node, RoleSlots.Prompts, roles => roles.Prompts) : null,
            Rollout = isOnline ? Maker(binding, node, RoleSlots.Rollout, roles => roles.Rollout) : null,
            Experience = isOnline ? Maker(binding, node, RoleSlots.Experience, roles => roles.Experience) : null,
            Batches = isOnline ? null : Maker(binding, node, RoleSlots.Batches, roles => roles.Batches),
            Scorers = plan.ScoresNeeded.ToDictionary(kind => kind, kind => Maker(binding, node, RoleSlots.Of(kind), roles => ScorerOf(roles, kind))!),
            Trainers = ranks.Makers(plan.ModelsTrained),
        };
    }

    private static PluginChoice<IScoringRole>? ScorerOf(RoleSettings roles, ScoreKind kind) => kind switch
    {
        ScoreKind.ReferenceLogProbs => roles.Reference,
        ScoreKind.Values => roles.Critic,
        _ => roles.Reward,
    };

    private static Func<TSeam>? Maker<TSeam>(RunBinding binding, NodeContext node, string slot, Func<RoleSettings, PluginChoice<TSeam>?> choose)
        where TSeam : class => choose(binding.Current.Settings.Roles) is null
            ? null
            : () => node.For(slot).Create(choose(binding.Current.Settings.Roles)!);
}
