using static TorchSharp.torch;

namespace ColossalChat.Numerics;

/// <summary>Estimators of KL(policy || reference) from one drawn token. d = log policy - log reference.</summary>
public enum KlEstimator
{
    /// <summary>d. Unbiased, may be negative for single tokens. As a loss its expected gradient is 0: use it in rewards only.</summary>
    K1,

    /// <summary>d^2 / 2. Biased, never negative; as a loss its expected gradient is that of the divergence.</summary>
    K2,

    /// <summary>exp(-d) - 1 + d. Unbiased, never negative; as a loss its gradient is that of the reverse divergence.</summary>
    K3,

    /// <summary>Value of k3, gradient of k2: unbiased value and right gradient.</summary>
    K3StraightThrough,
}

/// <summary>
/// Per-token estimates after J. Schulman, "Approximating KL divergence". The ratio in k3 is reference over policy; the
/// other way round is not an estimator of this divergence.
/// </summary>
public static class KlEstimators
{
    /// <summary>One token's estimate in nats.</summary>
    /// <param name="logProb">Of the drawn token under the policy that drew it.</param>
    /// <param name="referenceLogProb">The same token under the reference.</param>
    /// <param name="estimator">Which.</param>
    public static double Estimate(double logProb, double referenceLogProb, KlEstimator estimator)
    {
        var d = logProb - referenceLogProb;
        return estimator switch
        {
            KlEstimator.K1 => d,
            KlEstimator.K2 => d * d / 2,
            _ => Math.Exp(-d) - 1 + d,
        };
    }

    /// <summary>Estimates for all tokens at once, with gradient to the policy.</summary>
    /// <param name="logProbs">Any shape, float32, nats.</param>
    /// <param name="referenceLogProbs">Same shape; no gradient flows into it.</param>
    /// <param name="estimator">Which.</param>
    /// <returns>Same shape, nats.</returns>
    public static Tensor Estimate(Tensor logProbs, Tensor referenceLogProbs, KlEstimator estimator)
    {
        using var scope = NewDisposeScope();
        var d = logProbs - referenceLogProbs.detach();
        var result = estimator switch
        {
            KlEstimator.K1 => d.clone(),
            KlEstimator.K2 => d * d / 2,
            KlEstimator.K3 => (-d).expm1() + d,
            _ => StraightThrough(d),
        };
        return result.MoveToOuterDisposeScope();
    }

    private static Tensor StraightThrough(Tensor d)
    {
        var k2 = d * d / 2;
        var fixedD = d.detach();
        return (-fixedD).expm1() + fixedD + k2 - k2.detach();
    }
}
