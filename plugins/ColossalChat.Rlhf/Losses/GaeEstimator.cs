using ColossalChat.Contracts;
using ColossalChat.Numerics;

namespace ColossalChat.Rlhf;

/// <summary>Settings of <see cref="GaeEstimator"/>; section <c>advantage</c> of the experience role.</summary>
public sealed record GaeOptions : ICheckedOptions
{
    /// <summary>Discount a token. 0 to 1; default 1.</summary>
    public double Gamma { get; init; } = 1;

    /// <summary>From one-step (0) to whole-return (1) advantages. 0 to 1; default 0.95.</summary>
    public double Lambda { get; init; } = 0.95;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Gamma is not (>= 0 and <= 1))
            yield return $"gamma is {Gamma}; it must be from 0 to 1.";
        if (Lambda is not (>= 0 and <= 1))
            yield return $"lambda is {Lambda}; it must be from 0 to 1.";
    }
}

/// <summary>Generalised advantage estimation; needs a critic.</summary>
/// <param name="options">Settings.</param>
public sealed class GaeEstimator(GaeOptions options) : IAdvantageEstimator
{
    /// <inheritdoc/>
    public AdvantageEstimate Estimate(AdvantageInput input) => GeneralisedAdvantage.Estimate(
        input.Rewards,
        input.Values ?? throw new UserErrorException(
            "Advantage estimator gae needs values of a critic, but this stage has none; choose another estimator under roles.experience.advantage."),
        options.Gamma,
        options.Lambda);
}
