using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using ColossalChat.PluginKit;
using ColossalChat.Rlhf;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Rlhf;

[Trait("Category", "CI")]
public sealed class PpoClipConformanceTests : PolicyLossConformance
{
    protected override IPolicyLoss CreateLoss() => new PpoClipLoss(new PpoClipOptions());
}

[Trait("Category", "CI")]
public sealed class PolicyLossTests
{
    [Theory] // PPO-1 to PPO-3.
    [InlineData(1, 1.5, 0, 0, -1.2)]
    [InlineData(1, .5, 0, 0, -.5)]
    [InlineData(-1, 1.5, 0, 3, 1.5)]
    [InlineData(-1, .5, 0, 3, .8)]
    [InlineData(-1, 5, 0, 3, 3)]
    [InlineData(-1, 5, 0, 0, 5)]
    [InlineData(1, 1.25, 0, 0, -1.2)]
    [InlineData(1, 1.25, .28, 0, -1.25)]
    public void One_token_has_the_hand_value(double advantage, double ratio, double high, double dual, double expected)
    {
        var (loss, _, _) = Run(new PpoClipOptions { ClipRangeHigh = high, DualClip = dual }, [[(float)Math.Log(ratio)]], [[(float)advantage]]);
        Assert.Equal(expected, loss, 1e-5);
    }

    [Fact] // PPO-4: before the first update the ratio is 1 everywhere.
    public void Before_the_first_update_the_loss_is_minus_the_mean_advantage()
    {
        var (loss, result, gradient) = Run(new PpoClipOptions(), [[0, 0, 0], [0]], [[1, 2, 3], [-4]]);
        Assert.Equal(-.5, loss, 1e-6);
        Assert.Equal(0, result.Metrics["clip_frac"]);
        Assert.Equal(0, result.Metrics["approx_kl"]);
        Assert.Equal(1, result.Metrics["ratio_mean"], 1e-6);
        Assert.Equal(1, result.Maxima!["ratio_max"]);
        Assert.Equal([-.25f, -.5f, -.75f, 1, 0, 0], gradient);
    }

    [Theory] // AGG-1: token losses 1, 1 and 4.
    [InlineData(LossAggregation.TokenMean, 2)]
    [InlineData(LossAggregation.SequenceMean, 2.5)]
    [InlineData(LossAggregation.SequenceSum, 3)]
    public void Aggregation_has_the_hand_value(LossAggregation aggregation, double expected) =>
        Assert.Equal(expected, Run(new PpoClipOptions { Aggregation = aggregation }, [[0, 0], [0]], [[-1, -1], [-4]]).Loss, 1e-6);

    [Theory] // AGG-2: rows apart, divided by the window's totals, add up to the same.
    [InlineData(LossAggregation.TokenMean, 2)]
    [InlineData(LossAggregation.SequenceMean, 2.5)]
    [InlineData(LossAggregation.SequenceSum, 3)]
    public void Shares_of_parts_add_up(LossAggregation aggregation, double expected)
    {
        var (options, totals) = (new PpoClipOptions { Aggregation = aggregation }, new WindowTotals(3, 2));
        var (a, b) = (Run(options, [[0, 0]], [[-1, -1]], totals), Run(options, [[0]], [[-4]], totals));
        Assert.Equal(expected, a.Loss + b.Loss, 1e-6);
    }

    [Fact]
    public void Importance_weights_scale_each_token()
    {
        using var scope = NewDisposeScope();
        var nothing = zeros(1, 2);
        var input = new PolicyLossInput(
            nothing, nothing, ones(1, 2), tensor(new[,] { { .5f, 2 } }), ones(1, 2).to(@bool), new WindowTotals(2, 1));
        Assert.Equal(-1.25, new PpoClipLoss(new PpoClipOptions()).Compute(input).Loss.item<float>(), 1e-6);
    }

    [Fact] // Masked places may hold anything; the gradient there is 0, not NaN.
    public void What_does_not_count_changes_neither_loss_nor_gradient()
    {
        foreach (var odd in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
        {
            using var scope = NewDisposeScope();
            var isResponse = tensor(new[,] { { true, true, false } });
            var values = tensor(new[,] { { .1f, -.2f, odd } }).requires_grad_();
            var others = tensor(new[,] { { 0f, 0f, odd } });
            var input = new PolicyLossInput(values, others, others + 1, others, isResponse, new WindowTotals(2, 1));
            var result = new PpoClipLoss(new PpoClipOptions()).Compute(input with { ImportanceWeights = others + 1 });
            result.Loss.backward();
            Assert.True(float.IsFinite(result.Loss.item<float>()));
            Assert.All(result.Metrics.Values, value => Assert.True(double.IsFinite(value)));
            Assert.Equal(0, values.grad![0, 2].item<float>());
            Assert.True(float.IsFinite(values.grad[0, 0].item<float>()));
        }
    }

    private static (double Loss, ObjectiveResult Result, float[] Gradient) Run(
        PpoClipOptions options, float[][] logRatios, float[][] advantages, WindowTotals? totals = null)
    {
        using var scope = NewDisposeScope();
        using var padded = new PaddedTargets([.. logRatios.Select(row => row.Length)], CPU);
        var values = padded.Spread(tensor(logRatios.SelectMany(row => row).ToArray())).requires_grad_();
        var input = new PolicyLossInput(
            values,
            zeros_like(values),
            padded.Spread(tensor(advantages.SelectMany(row => row).ToArray())),
            ones_like(values),
            padded.IsResponse,
            totals ?? new WindowTotals(logRatios.Sum(row => row.Length), logRatios.Length));
        var result = new PpoClipLoss(options).Compute(input);
        result.Loss.backward();
        return (result.Loss.item<float>(), result, TensorData.ToFloats(values.grad!));
    }
}
