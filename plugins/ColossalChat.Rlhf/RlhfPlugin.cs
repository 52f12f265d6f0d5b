using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Rlhf;

/// <summary>Offers the stages SFT, reward model and PPO with their roles, losses and the advantage estimator.</summary>
public sealed class RlhfPlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry)
    {
        registry.Add<IStage, SftStageOptions>("sft", (options, _) => new PlannedStage(options.ToPlan()));
        registry.Add<IStage, RewardModelStageOptions>("reward-model", (options, _) => new PlannedStage(options.ToPlan()));
        registry.Add<IStage, PpoStageOptions>("ppo", (options, _) => new PlannedStage(options.ToPlan()));

        registry.Add<IRolloutRole, RolloutOptions>("rollout", (options, context) => new RolloutRole(options, context));
        registry.Add<IScoringRole, ReferenceOptions>("reference", (options, context) => new ReferenceRole(options, context));
        registry.Add<IScoringRole, CriticOptions>("critic", (options, context) => new CriticRole(options, context));
        registry.Add<IExperienceRole, PpoExperienceOptions>("ppo-experience", (options, context) => new PpoExperienceRole(options, context));
        registry.Add<IAdvantageEstimator, GaeOptions>("gae", (options, _) => new GaeEstimator(options));

        registry.Add<ITrainerRole, SftTrainerOptions>("sft-trainer", (options, context) => new SftTrainer(options, context));
        registry.Add<ITrainerRole, RewardTrainerOptions>("reward-trainer", (options, context) => new RewardTrainer(options, context));
        registry.Add<ITrainerRole, PpoPolicyOptions>("ppo-policy", (options, context) => new PpoPolicyTrainer(options, context));
        registry.Add<ITrainerRole, PpoCriticOptions>("ppo-critic", (options, context) => new PpoCriticTrainer(options, context));

        registry.Add<IPolicyLoss, PpoClipOptions>("ppo-clip", (options, _) => new PpoClipLoss(options));
        registry.Add<IValueLoss, ValueClipOptions>("value-clip", (options, _) => new ValueClipLoss(options));
        registry.Add<IPreferenceLoss, NoOptions>("log-sigmoid", (_, _) => new LogSigmoidLoss());
        registry.Add<IPreferenceLoss, NoOptions>("log-exp", (_, _) => new LogExpLoss());
    }
}
