using System.Numerics;
using ColossalChat.Numerics.Kernels;
using Xunit;

namespace ColossalChat.UnitTests.Numerics;

[Trait("Category", "CI")]
public sealed class ExponentialTests
{
    [Fact]
    public void It_is_exact_to_two_parts_in_ten_million()
    {
        var lanes = new float[Vector<float>.Count];
        for (var at = -87.0; at <= 88; at += lanes.Length * 1.37e-4)
        {
            for (var i = 0; i < lanes.Length; i++)
                lanes[i] = (float)(at + (i * 1.37e-4));
            var powers = Exponential.Of(new Vector<float>(lanes));
            for (var i = 0; i < lanes.Length; i++)
                if (!(Math.Abs((powers[i] / Math.Exp(lanes[i])) - 1) < 2e-7))
                    Assert.Fail($"e^{lanes[i]:R} is {Math.Exp(lanes[i]):R}, not {powers[i]:R}.");
        }
    }

    [Theory]
    [InlineData(0f, 1f)]
    [InlineData(-104f, 0f)]
    [InlineData(-1e30f, 0f)]
    [InlineData(float.NegativeInfinity, 0f)]
    [InlineData(88.73f, float.PositiveInfinity)]
    [InlineData(1e30f, float.PositiveInfinity)]
    [InlineData(float.PositiveInfinity, float.PositiveInfinity)]
    [InlineData(float.NaN, float.NaN)]
    public void Its_ends_are_zero_and_infinity(float x, float expected) => Assert.Equal(expected, Exponential.Of(new Vector<float>(x))[0]);

    [Theory] // The largest and smallest results that are still numbers.
    [InlineData(88.7228f)]
    [InlineData(-87.3365f)]
    public void It_is_right_up_to_its_ends(float x) =>
        Assert.True(Math.Abs((Exponential.Of(new Vector<float>(x))[0] / Math.Exp(x)) - 1) < 2e-7);

    [Theory] // Below the smallest normal number there are fewer digits: whole multiples of the smallest of all.
    [InlineData(-87.34f)]
    [InlineData(-95f)]
    [InlineData(-103f)]
    public void It_fades_out_to_zero(float x) =>
        Assert.InRange(Exponential.Of(new Vector<float>(x))[0] - Math.Exp(x), -float.Epsilon, float.Epsilon);
}
