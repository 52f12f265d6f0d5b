using ColossalChat.Contracts;
using ColossalChat.Numerics;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Numerics;

[Trait("Category", "CI")]
public sealed class KlEstimatorsTests
{
    private const double Exact = .0252671539;
    private static readonly double[] P = [.5, .3, .2];
    private static readonly double[] Q = [.4, .4, .2];

    [Theory] // KL-1 and KL-2.
    [InlineData(KlEstimator.K1, Exact, .0490864)]
    [InlineData(KlEstimator.K2, .0248624073, .000205483)]
    [InlineData(KlEstimator.K3, Exact, .000254594)]
    [InlineData(KlEstimator.K3StraightThrough, Exact, .000254594)]
    public void Expectation_and_variance_are_known(KlEstimator estimator, double mean, double variance)
    {
        var values = P.Select((p, i) => KlEstimators.Estimate(Math.Log(p), Math.Log(Q[i]), estimator)).ToArray();
        var expectation = values.Zip(P, (value, p) => value * p).Sum();
        Assert.Equal(mean, expectation, 1e-9);
        Assert.Equal(variance, values.Zip(P, (value, p) => p * (value - expectation) * (value - expectation)).Sum(), 1e-7);
    }

    [Theory] // KL-3 and KL-4: the gradient of the sampled loss, averaged over the policy's own draws.
    [InlineData(KlEstimator.K1, new[] { 0.0, 0, 0 })]
    [InlineData(KlEstimator.K2, new[] { .0989382, -.0938848, -.0050534 })]
    [InlineData(KlEstimator.K3, new[] { .1, -.1, 0 })]
    [InlineData(KlEstimator.K3StraightThrough, new[] { .0989382, -.0938848, -.0050534 })]
    public void Expected_gradient_as_a_loss_is_known(KlEstimator estimator, double[] expected)
    {
        using var scope = NewDisposeScope();
        var logits = tensor(P.Select(p => Math.Log(p)).ToArray()).requires_grad_();
        var reference = tensor(Q.Select(q => Math.Log(q)).ToArray());
        var estimates = KlEstimators.Estimate(logits.log_softmax(-1), reference, estimator);
        (estimates * tensor(P)).sum().backward();
        Assert.All(expected.Select((e, i) => (e, logits.grad![i].item<double>())), pair => Assert.Equal(pair.e, pair.Item2, 1e-6));
    }

    [Theory] // Managed and tensor forms agree.
    [InlineData(KlEstimator.K1)]
    [InlineData(KlEstimator.K2)]
    [InlineData(KlEstimator.K3)]
    [InlineData(KlEstimator.K3StraightThrough)]
    public void Both_forms_agree(KlEstimator estimator)
    {
        using var scope = NewDisposeScope();
        var values = KlEstimators.Estimate(tensor(new[] { -1.0, -3 }), tensor(new[] { -1.5, -2.0 }), estimator);
        Assert.Equal(KlEstimators.Estimate(-1, -1.5, estimator), values[0].item<double>(), 1e-12);
        Assert.Equal(KlEstimators.Estimate(-3, -2, estimator), values[1].item<double>(), 1e-12);
    }

    [Theory] // KL-5.
    [InlineData(KlEstimator.K1, .0490864)]
    [InlineData(KlEstimator.K3, .000254594)]
    public void A_million_draws_find_the_divergence(KlEstimator estimator, double variance)
    {
        const int Draws = 1_000_000;
        var key = new RandomKey(7, RandomPurpose.Sampling);
        var perToken = P.Select((p, i) => KlEstimators.Estimate(Math.Log(p), Math.Log(Q[i]), estimator)).ToArray();
        var sum = 0.0;
        for (var i = 0; i < Draws; i++)
        {
            var u = key.Uniform(i);
            sum += perToken[u < P[0] ? 0 : u < P[0] + P[1] ? 1 : 2];
        }

        Assert.True(Math.Abs((sum / Draws) - Exact) < 4 * Math.Sqrt(variance / Draws));
    }
}
