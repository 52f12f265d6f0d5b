using ColossalChat.Numerics;

namespace ColossalChat.Rlhf;

/// <summary>Rewards of single tokens from a score and the divergence from the reference.</summary>
public static class RewardShaping
{
    /// <summary>
    /// Minus coefficient times divergence on every token, plus the answer's score on its last one only.
    /// </summary>
    /// <param name="logProbs">Nats, of the target tokens at rollout. At least one.</param>
    /// <param name="referenceLogProbs">Nats, under the reference.</param>
    /// <param name="score">Reward units.</param>
    /// <param name="coefficient">Reward units a nat.</param>
    /// <param name="estimator">Estimator of the divergence.</param>
    public static float[] TokenRewards(
        ReadOnlySpan<float> logProbs, ReadOnlySpan<float> referenceLogProbs, double score, double coefficient, KlEstimator estimator)
    {
        var rewards = new float[logProbs.Length];
        for (var t = 0; t < rewards.Length; t++)
        {
            var penalty = coefficient == 0 ? 0 : coefficient * KlEstimators.Estimate(logProbs[t], referenceLogProbs[t], estimator);
            rewards[t] = (float)((t == rewards.Length - 1 ? score : 0) - penalty);
        }

        return rewards;
    }
}
