using ColossalChat.Contracts;
using ColossalChat.Numerics;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Numerics;

[Trait("Category", "CI")]
public sealed class StatisticsTests
{
    [Theory] // WH-1
    [InlineData(false, 1.0)]
    [InlineData(true, .70710678)]
    public void A_window_is_whitened_as_one(bool unbiased, double expected)
    {
        var white = Whitening.Apply(Ragged.FromRows([[2f], [], [3f]]), unbiased: unbiased);
        Assert.Equal(-expected, white[0].Span[0], 1e-6);
        Assert.Equal(expected, white[2].Span[0], 1e-6);
    }

    [Fact]
    public void Equal_values_whiten_to_zero_and_a_kept_mean_stays()
    {
        Assert.All(Whitening.Apply(Ragged.FromRows([[4f, 4, 4]])).Values.ToArray(), v => Assert.Equal(0, v));
        var kept = Whitening.Apply(Ragged.FromRows([[9f, 11]]), shiftMean: false);
        Assert.Equal(10, Moments.Of(kept.Values.Span).Mean, 1e-6);
        Assert.Equal(1, Moments.Of(kept.Values.Span).StandardDeviation, 1e-6);
    }

    [Fact]
    public void Shares_ignore_what_does_not_count_in_value_and_gradient()
    {
        using var scope = NewDisposeScope();
        var values = tensor(new[,] { { 1f, float.NaN }, { 3, float.NegativeInfinity } }).requires_grad_();
        var share = MaskedStatistics.Share(values, tensor(new[,] { { true, false }, { true, false } }), 8);
        Assert.Equal(.5, share.item<float>(), 1e-6);
        share.backward();
        Assert.Equal([.125f, 0, .125f, 0], TensorData.ToFloats(values.grad!));
    }

    [Fact]
    public void Moments_and_explained_variance_are_the_textbook_ones()
    {
        var moments = Moments.Of([1f, 2, 3, 6]);
        Assert.Equal((4, 3.0, 3.5, 1.0, 6.0), (moments.Count, moments.Mean, moments.Variance, moments.Minimum, moments.Maximum));
        Assert.Equal(1, Moments.ExplainedVariance([1f, 2, 3], [1f, 2, 3]), 1e-9);
        Assert.Equal(0, Moments.ExplainedVariance([2f, 2, 2], [1f, 2, 3]), 1e-9);
        Assert.Equal(-3, Moments.ExplainedVariance([3f, 2, 1], [1f, 2, 3]), 1e-9);
        Assert.Equal(0, Moments.ExplainedVariance([3f, 2], [1f, 1]), 1e-9);
    }

    [Theory]
    [InlineData(ScheduleShape.Constant, 0, .25)]
    [InlineData(ScheduleShape.Constant, 50, 1)]
    [InlineData(ScheduleShape.Cosine, 3, 1)]
    [InlineData(ScheduleShape.Cosine, 4, 1)]
    [InlineData(ScheduleShape.Cosine, 103, .1)]
    [InlineData(ScheduleShape.Linear, 103, .1)]
    [InlineData(ScheduleShape.Cosine, 500, .1)]
    public void Schedules_warm_up_and_end_where_told(ScheduleShape shape, long step, double factor) =>
        Assert.Equal(factor, Schedules.Factor(shape, step, 104, 4, .1), 1e-9);

    [Fact]
    public void A_cosine_is_half_way_in_the_middle() =>
        Assert.Equal(.55, Schedules.Factor(ScheduleShape.Cosine, 50, 101, 0, .1), 1e-9);
}
