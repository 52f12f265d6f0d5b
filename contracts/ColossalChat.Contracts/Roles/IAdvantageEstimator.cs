namespace ColossalChat.Contracts;

/// <summary>Turns rewards and values into advantages and value targets.</summary>
public interface IAdvantageEstimator
{
    /// <summary>Estimates for a whole window; rows are independent unless they share a group.</summary>
    AdvantageEstimate Estimate(AdvantageInput input);
}

/// <summary>Input of an estimator; only target tokens are present, so nothing needs a mask.</summary>
/// <param name="Rewards">Per response token, reward units: penalties, plus the sequence's score on its last token.</param>
/// <param name="Values">Per response token: expected return just before it; null when the stage has no critic.</param>
/// <param name="Groups">Prompt of each row; answers to one prompt share it.</param>
public sealed record AdvantageInput(Ragged<float> Rewards, Ragged<float>? Values, IReadOnlyList<long> Groups);

/// <summary>An estimator's answer.</summary>
/// <param name="Advantages">Shape of the rewards; not yet whitened.</param>
/// <param name="Returns">Targets of the critic, shape of the rewards.</param>
public sealed record AdvantageEstimate(Ragged<float> Advantages, Ragged<float> Returns);
