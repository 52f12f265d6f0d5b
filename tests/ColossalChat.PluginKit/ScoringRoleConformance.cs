using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.PluginKit;

/// <summary>
/// What every <see cref="IScoringRole"/> must do. Inherit it and make the role; a role with a model also says which ids
/// its rollout may have.
/// </summary>
public abstract class ScoringRoleConformance
{
    /// <summary>The role under test. The caller disposes it.</summary>
    protected abstract IScoringRole CreateRole(TestNode node);

    /// <summary>A rollout that the role can score; by default texts in bytes, made known to the node.</summary>
    protected virtual Rollout NewRollout(TestNode node)
    {
        var tokenizer = new ByteTokenizer();
        node.AddTokenizer(tokenizer);
        return SampleRollouts.Texts(tokenizer);
    }

    /// <summary>How far a row's scores may move when other rows stand beside it. 0 for rules.</summary>
    protected virtual float Tolerance => 1e-4f;

    [Fact]
    public void Every_row_has_one_outcome_and_scores_of_its_kinds_shape() => With((role, rollout) =>
    {
        var scores = role.Score(rollout, CancellationToken.None);
        Assert.Equal(role.Kind, scores.Kind);
        Assert.Equal(rollout.Rows, scores.Values.Rows);
        Assert.Equal(rollout.Rows, scores.Outcomes.Count);
        Assert.Equal(rollout.Rows, scores.Reasons.Count);
        for (var row = 0; row < rollout.Rows; row++)
        {
            Assert.Equal(scores.Outcomes[row] == ScoreOutcome.Failed, scores.Reasons[row].Length > 0);
            if (scores.Outcomes[row] != ScoreOutcome.Value)
                continue;
            Assert.Equal(role.Kind == ScoreKind.Rewards ? 1 : rollout.Tokens.LengthOf(row), scores.Values.LengthOf(row));
            Assert.All(scores.Values[row].ToArray(), value => Assert.True(float.IsFinite(value), $"row {row} holds {value}"));
        }
    });

    [Fact]
    public void Same_rollout_gets_the_same_bits() => With((role, rollout) =>
    {
        var (first, second) = (role.Score(rollout, CancellationToken.None), role.Score(rollout, CancellationToken.None));
        Assert.Equal(first.Values.Values.ToArray(), second.Values.Values.ToArray());
        Assert.Equal(first.Outcomes, second.Outcomes);
    });

    [Fact]
    public void Rows_do_not_depend_on_their_neighbours() => With((role, rollout) =>
    {
        var together = role.Score(rollout, CancellationToken.None);
        for (var row = 0; row < rollout.Rows; row++)
        {
            var alone = role.Score(SampleRollouts.Pick(rollout, [row]), CancellationToken.None);
            Assert.Equal(together.Outcomes[row], alone.Outcomes[0]);
            var (expected, actual) = (together.Values[row].ToArray(), alone.Values[0].ToArray());
            Assert.Equal(expected.Length, actual.Length);
            for (var i = 0; i < expected.Length; i++)
                Assert.True(Math.Abs(expected[i] - actual[i]) <= Tolerance, $"row {row}, value {i}: {expected[i]} among others, {actual[i]} alone");
        }
    });

    [Fact]
    public void Rollout_is_not_changed() => With((role, rollout) =>
    {
        var (tokens, logProbs) = (rollout.Tokens.Values.ToArray(), rollout.LogProbs.Values.ToArray());
        role.Score(rollout, CancellationToken.None);
        Assert.Equal(tokens, rollout.Tokens.Values.ToArray());
        Assert.Equal(logProbs, rollout.LogProbs.Values.ToArray());
    });

    [Fact]
    public void Weights_of_a_foreign_model_change_nothing() => With((role, rollout) =>
    {
        var before = role.Score(rollout, CancellationToken.None);
        role.LoadWeights(new WeightsPublication("a-model-of-nobody", 1, 5, "00", null), CancellationToken.None);
        Assert.Equal(before.Values.Values.ToArray(), role.Score(rollout, CancellationToken.None).Values.Values.ToArray());
    });

    [Fact]
    public void Live_tensors_stay_constant() => With((role, rollout) =>
        LiveTensors.StayConstant(() => role.Score(rollout, CancellationToken.None)));

    [Fact]
    public void The_device_is_left_to_the_host()
    {
        var node = new TestNode();
        var rollout = NewRollout(node);
        using var role = CreateRole(node);
        var taken = node.Leases.Taken;
        role.Score(rollout, CancellationToken.None);
        Assert.Equal(taken, node.Leases.Taken);
    }

    private void With(Action<IScoringRole, Rollout> check)
    {
        var node = new TestNode();
        var rollout = NewRollout(node);
        using var role = CreateRole(node);
        check(role, rollout);
    }
}
