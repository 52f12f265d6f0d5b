using ColossalChat.Contracts;
using ColossalChat.Numerics;
using Xunit;

namespace ColossalChat.UnitTests.Numerics;

[Trait("Category", "CI")]
public sealed class GeneralisedAdvantageTests
{
    [Theory] // Hand values GAE-1 to GAE-3.
    [InlineData(new[] { 0f, 0, 1 }, new[] { .5f, .4f, .3f }, 1, .95, new[] { .43675, .565, .7 }, new[] { .93675, .965, 1 })]
    [InlineData(new[] { -.1f, .2f, 1 }, new[] { .5f, -.25f, .75f }, .9, .8, new[] { .1146, 1.305, .25 }, new[] { .6146, 1.055, 1 })]
    [InlineData(new[] { 0f, 0, 1 }, new[] { .5f, .4f, .3f }, 1, 1, new[] { .5, .6, .7 }, new[] { 1.0, 1, 1 })]
    [InlineData(new[] { 0f, 0, 1 }, new[] { .5f, .4f, .3f }, 1, 0, new[] { -.1, -.1, .7 }, new[] { .4, .3, 1 })]
    public void It_gives_the_hand_values(float[] rewards, float[] values, double gamma, double lambda, double[] advantages, double[] returns)
    {
        var estimate = GeneralisedAdvantage.Estimate(Rows(rewards), Rows(values), gamma, lambda);
        for (var i = 0; i < rewards.Length; i++)
        {
            Assert.Equal(advantages[i], estimate.Advantages.Values.Span[i], 1e-6);
            Assert.Equal(returns[i], estimate.Returns.Values.Span[i], 1e-6);
        }
    }

    [Fact] // GAE-4: tokens that do not count are not present, so their values cannot matter; neither can other rows.
    public void Rows_do_not_see_each_other()
    {
        var estimate = GeneralisedAdvantage.Estimate(
            Rows([5, 5], [0, 0, 1], [], [7]), Rows([9, 9], [.2f, .4f, .6f], [], [99]), 1, .95);
        Assert.Equal([.751, .58, .4], estimate.Advantages[1].ToArray().Select(a => Math.Round(a, 6)));
        Assert.Equal(0, estimate.Advantages.LengthOf(2));
    }

    [Fact]
    public void It_refuses_values_of_another_shape() =>
        Assert.Throws<ArgumentException>(() => GeneralisedAdvantage.Estimate(Rows([1, 2]), Rows([1], [2]), 1, 1));

    private static Ragged<float> Rows(params float[][] rows) => Ragged.FromRows(rows);
}
