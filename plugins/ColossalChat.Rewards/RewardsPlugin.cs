using ColossalChat.Contracts;

namespace ColossalChat.Rewards;

/// <summary>Offers the reward model role and rule-based rewards.</summary>
public sealed class RewardsPlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry)
    {
        registry.Add<IScoringRole, RewardModelOptions>("reward-model", (options, context) => new RewardModelRole(options, context));
        registry.Add<IScoringRole, WordRewardOptions>("word-reward", (options, context) => new WordReward(options, context));
        registry.Add<IScoringRole, LengthRewardOptions>("length-reward", (options, _) => new LengthReward(options));
    }
}
