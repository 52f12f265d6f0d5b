using ColossalChat.Contracts;
using ColossalChat.Numerics;

namespace ColossalChat.Rlhf;

/// <summary>Settings of the PPO experience role; section <c>roles.experience</c>.</summary>
public sealed record PpoExperienceOptions : ICheckedOptions
{
    /// <summary>Reward units that a nat of divergence from the reference costs. 0 or more; default 0.05.</summary>
    public double KlCoefficient { get; init; } = 0.05;

    /// <summary>How the divergence of a token is estimated: k1, k2 or k3; default k1.</summary>
    public KlEstimator KlEstimator { get; init; } = KlEstimator.K1;

    /// <summary>Divergence per answer, in nats, that the coefficient is steered to; 0 keeps the coefficient. Default 0.</summary>
    public double KlTarget { get; init; }

    /// <summary>Answers over which steering acts; larger is slower. Above 0; default 10000.</summary>
    public double KlHorizon { get; init; } = 10_000;

    /// <summary>Scores are cut to plus and minus this; 0 cuts nothing. Default 5.</summary>
    public double RewardClamp { get; init; } = 5;

    /// <summary>Whether scores are brought to mean 0 and deviation 1 over all answers so far, before the cut; default false.</summary>
    public bool NormaliseRewards { get; init; }

    /// <summary>Taken from the score of an answer that did not end by itself. 0 or more; default 0.</summary>
    public double MissingEosPenalty { get; init; }

    /// <summary>How advantages come from rewards and values.</summary>
    [DefaultPlugin("gae")]
    public PluginChoice<IAdvantageEstimator> Advantage { get; init; } = new("gae");

    /// <summary>Whether advantages are brought to mean 0 and deviation 1 over the whole window; default true.</summary>
    public bool Whiten { get; init; } = true;

    /// <summary>Answers kept for reading in each iteration. 0 or more; default 4.</summary>
    public int Samples { get; init; } = 4;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (KlCoefficient is not >= 0)
            yield return $"kl-coefficient is {KlCoefficient}; it must be 0 (off) or more.";
        if (KlTarget is not >= 0)
            yield return $"kl-target is {KlTarget}; it must be 0 (fixed coefficient) or more.";
        if (KlHorizon is not > 0)
            yield return $"kl-horizon is {KlHorizon}; it must be above 0.";
        if (RewardClamp is not >= 0)
            yield return $"reward-clamp is {RewardClamp}; it must be 0 (off) or more.";
        if (MissingEosPenalty is not >= 0)
            yield return $"missing-eos-penalty is {MissingEosPenalty}; it must be 0 (off) or more.";
        if (Samples < 0)
            yield return $"samples is {Samples}; it must be 0 or more.";
    }
}
