using ColossalChat.Contracts;

namespace ColossalChat.Rlhf;

/// <summary>A stage that is nothing but its plan.</summary>
/// <param name="plan">What it declares.</param>
public sealed class PlannedStage(StagePlan plan) : IStage
{
    /// <inheritdoc/>
    public StagePlan Plan { get; } = plan;
}
