using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Ranks;

namespace ColossalChat.Host.Runs;

/// <summary>Turns the chosen roles into makers: actors make their roles themselves, again after a failure.</summary>
internal static class RoleMakers
{
    /// <summary>Makers of the roles that the plan needs.</summary>
    public static RunRoles Of(RunSettings settings, StagePlan plan, INodeContext node, TrainerRanks ranks)
    {
        var roles = settings.Roles;
        var isOnline = plan.Flow == FlowKind.Online;
        return new RunRoles
        {
            Prompts = isOnline ? Maker(node, roles.Prompts) : null,
            Rollout = isOnline ? Maker(node, roles.Rollout) : null,
            Experience = isOnline ? Maker(node, roles.Experience) : null,
            Batches = isOnline ? null : Maker(node, roles.Batches),
            Scorers = plan.ScoresNeeded.ToDictionary(kind => kind, kind => Maker(node, ScorerOf(roles, kind))!),
            Trainers = ranks.Makers(plan.ModelsTrained),
        };
    }

    private static PluginChoice<IScoringRole>? ScorerOf(RoleSettings roles, ScoreKind kind) => kind switch
    {
        ScoreKind.ReferenceLogProbs => roles.Reference,
        ScoreKind.Values => roles.Critic,
        _ => roles.Reward,
    };

    private static Func<TSeam>? Maker<TSeam>(INodeContext node, PluginChoice<TSeam>? choice)
        where TSeam : class => choice is null ? null : () => node.Create(choice);
}
