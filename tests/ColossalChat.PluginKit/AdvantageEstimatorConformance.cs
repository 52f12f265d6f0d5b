using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.PluginKit;

/// <summary>What every <see cref="IAdvantageEstimator"/> must do. Inherit it and make the estimator.</summary>
public abstract class AdvantageEstimatorConformance
{
    private static readonly float[][] s_rewards = [[0f, -0.1f, 0.9f], [0.4f], [0f, 0f, 0f, -0.5f], [0.2f, 1f]];
    private static readonly float[][] s_values = [[0.3f, 0.4f, 0.6f], [0.1f], [0f, -0.1f, -0.2f, -0.4f], [0.5f, 0.5f]];
    private static readonly long[] s_groups = [0, 0, 1, 1];

    /// <summary>The estimator under test, with default options.</summary>
    protected abstract IAdvantageEstimator CreateEstimator();

    /// <summary>True when the estimator needs a critic's values.</summary>
    protected virtual bool NeedsValues => true;

    [Fact]
    public void Estimates_have_the_shape_of_the_rewards_and_are_finite()
    {
        var input = Input(s_rewards, s_values, s_groups);
        var estimate = CreateEstimator().Estimate(input);
        Assert.True(estimate.Advantages.HasShapeOf(input.Rewards));
        Assert.True(estimate.Returns.HasShapeOf(input.Rewards));
        Assert.All(estimate.Advantages.Values.ToArray().Concat(estimate.Returns.Values.ToArray()), value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void Rows_do_not_depend_on_their_place()
    {
        var estimator = CreateEstimator();
        int[] order = [2, 3, 0, 1];
        var straight = estimator.Estimate(Input(s_rewards, s_values, s_groups));
        var moved = estimator.Estimate(Input(Reorder(s_rewards, order), Reorder(s_values, order), Reorder(s_groups, order)));
        Assert.Equal(straight.Advantages.Pick(order).Values.ToArray(), moved.Advantages.Values.ToArray());
        Assert.Equal(straight.Returns.Pick(order).Values.ToArray(), moved.Returns.Values.ToArray());
    }

    [Fact]
    public void Rows_do_not_depend_on_other_groups()
    {
        var estimator = CreateEstimator();
        var all = estimator.Estimate(Input(s_rewards, s_values, s_groups));
        var alone = estimator.Estimate(Input(s_rewards[..2], s_values[..2], s_groups[..2]));
        Assert.Equal(all.Advantages.Pick([0, 1]).Values.ToArray(), alone.Advantages.Values.ToArray());
    }

    [Fact]
    public void Advantages_are_zero_When_nothing_is_rewarded_and_nothing_expected()
    {
        float[][] zeros = [.. s_rewards.Select(row => new float[row.Length])];
        var estimate = CreateEstimator().Estimate(Input(zeros, zeros, s_groups));
        Assert.All(estimate.Advantages.Values.ToArray(), value => Assert.Equal(0f, value));
    }

    [Fact]
    public void Same_input_gives_the_same_bits_and_stays_as_it_was()
    {
        var estimator = CreateEstimator();
        var input = Input(s_rewards, s_values, s_groups);
        var (first, second) = (estimator.Estimate(input), estimator.Estimate(input));
        Assert.Equal(first.Advantages.Values.ToArray(), second.Advantages.Values.ToArray());
        Assert.Equal(s_rewards.SelectMany(row => row), input.Rewards.Values.ToArray());
        if (NeedsValues)
            Assert.Equal(s_values.SelectMany(row => row), input.Values!.Values.ToArray());
    }

    private AdvantageInput Input(float[][] rewards, float[][] values, long[] groups) =>
        new(Ragged.FromRows(rewards), NeedsValues ? Ragged.FromRows(values) : null, groups);

    private static T[] Reorder<T>(T[] rows, int[] order) => [.. order.Select(row => rows[row])];
}
