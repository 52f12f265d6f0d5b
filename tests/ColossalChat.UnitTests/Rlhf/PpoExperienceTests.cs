using ColossalChat.Contracts;
using ColossalChat.Numerics;
using ColossalChat.PluginKit;
using ColossalChat.Rlhf;
using ColossalChat.UnitTests.Rlhf.Support;
using Xunit;

namespace ColossalChat.UnitTests.Rlhf;

[Trait("Category", "CI")]
public sealed class PpoExperienceTests
{
    [Fact] // RPP
    public void Penalties_are_on_every_token_and_the_score_on_the_last()
    {
        var rewards = RewardShaping.TokenRewards([.1f, .2f, .3f], [0, 0, 0], 1, .1, KlEstimator.K1);
        Assert.Equal([-.01, -.02, .97], rewards.Select(r => Math.Round(r, 6)));
        var zeros = Ragged.FromRows([[0f, 0, 0]]);
        var returns = GeneralisedAdvantage.Estimate(Ragged.FromRows([rewards]), zeros, 1, 1).Returns;
        Assert.Equal([.94, .95, .97], returns.Values.ToArray().Select(r => Math.Round(r, 6)));
    }

    [Theory] // AKL
    [InlineData(12, .201024)]
    [InlineData(6, .2)]
    [InlineData(3, .198976)]
    public void The_coefficient_is_steered_by_the_hand_value(double divergence, double expected)
    {
        var controller = new KlController(.2, 6, 10_000);
        controller.Observe(divergence, 256);
        Assert.Equal(expected, controller.Coefficient, 1e-9);
    }

    [Fact] // Property 13: rows without a score are left out and counted; none becomes 0.
    public void Rows_without_a_score_are_left_out_and_counted()
    {
        var rollout = NewRollout([[5, 6], [7], [8, 9, 10], [], [11]]);
        var rewards = Scores.Of(ScoreKind.Rewards, Ragged.Scalars<float>(new[] { 1, float.NaN, 3f, 4, 5 }));
        var outcomes = rewards.Outcomes.ToArray();
        Assert.Equal(ScoreOutcome.Failed, outcomes[1]);
        outcomes[4] = ScoreOutcome.NotApplicable;
        var window = NewRole().Build([With(rollout, rewards with { Outcomes = outcomes })], 1);
        Assert.Equal(2, window.PerRank[0].Rows);
        Assert.Equal([1, 5, 6], window.PerRank[0].Tokens[0].ToArray());
        Assert.Equal(2, window.Metrics["reward/score"]);
        Assert.Equal((5, 1, 1, 1), (window.Metrics["gen/rows"], window.Metrics["reward/failed"], window.Metrics["reward/not_applicable"], window.Metrics["gen/empty"]));
    }

    [Fact]
    public void A_window_without_a_usable_row_makes_empty_experience()
    {
        var nothingToSay = Scores.Of(ScoreKind.Rewards, Ragged.Scalars<float>(new[] { 0f })) with { Outcomes = [ScoreOutcome.NotApplicable] };
        var window = NewRole().Build([With(NewRollout([[5]]), nothingToSay)], 2);
        Assert.All(window.PerRank, experience => Assert.Equal(0, experience.Rows));
        Assert.Equal(1, window.Metrics["reward/not_applicable"]);
    }

    [Fact]
    public void A_window_whose_rows_all_failed_is_an_error_that_says_why()
    {
        var failure = Assert.Throws<UserErrorException>(() => NewRole().Build([With(NewRollout([[5], [6]]), [float.NaN, float.NaN])], 1));
        Assert.Contains("All 2 answers", failure.Message, StringComparison.Ordinal);
        Assert.Contains("value 0 of row 0 is NaN", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Columns_stand_at_their_tokens_and_whitening_is_over_the_whole_window()
    {
        var one = With(NewRollout([[5, 6]]), [1]);
        var two = With(NewRollout([[7, 8, 9]]), [3]);
        var experience = NewRole().Build([one, two], 1).PerRank[0];
        Assert.Equal([false, true, true], experience.IsTarget[0].ToArray());
        Assert.Equal([0, -1, -1], experience.Columns[ExperienceColumns.OldLogProbs][0].ToArray());
        Assert.Equal([0, .5f, .5f], experience.Columns[ExperienceColumns.OldValues][0].ToArray());
        Assert.Equal([.7f, .7f], experience.Columns[ExperienceColumns.Temperature].Values.ToArray());
        var advantages = new[] { 1, 2, 4, 5, 6 }.Select(i => experience.Columns[ExperienceColumns.Advantages].Values.Span[i]).ToArray();
        Assert.Equal(0, Moments.Of(advantages).Mean, 1e-5);
        Assert.Equal(1, Moments.Of(advantages).StandardDeviation, 1e-4);
        Assert.True(advantages[0] < 0 && advantages[4] > 0);
        Assert.Equal(0, experience.Columns[ExperienceColumns.Advantages].Values.Span[0]);
    }

    [Fact]
    public void Divergence_is_summed_per_answer_and_costs_what_the_coefficient_says()
    {
        var metrics = NewRole(new() { KlCoefficient = .1 }).Build([With(NewRollout([[5, 6], [7, 8, 9, 10]]), [1, 2])], 1).Metrics;
        Assert.Equal(1.5, metrics["kl/ref"], 1e-5); // .5 a token; 2 and 4 tokens.
        Assert.Equal(.5, metrics["kl/ref_per_token"], 1e-5);
        Assert.Equal(.15, metrics["kl/penalty"], 1e-5);
        Assert.Equal(1.35, metrics["reward/rlhf"], 1e-5);
        Assert.Equal(3, metrics["gen/length_mean"]);
        Assert.Equal(.5, metrics["gen/eos_rate"]);
        Assert.Equal(.5, metrics["gen/clip_ratio"]);
    }

    [Fact]
    public void Scores_are_clamped_and_an_answer_cut_off_pays()
    {
        var role = NewRole(new() { KlCoefficient = 0, MissingEosPenalty = .5, Whiten = false });
        var metrics = role.Build([With(NewRollout([[5], [6]]), [100, -100])], 1).Metrics;
        Assert.Equal(0, metrics["reward/score"]);
        Assert.Equal(-.25, metrics["reward/rlhf"], 1e-6); // (5) and (-5 - .5)
    }

    [Fact]
    public void Normalised_scores_have_mean_zero_and_deviation_one()
    {
        var scale = new RewardScale();
        scale.Observe([10, 20, 30]);
        Assert.Equal(0, scale.Apply(20));
        Assert.Equal(Math.Sqrt(1.5), scale.Apply(30), 1e-9);
    }

    [Fact]
    public void Groups_stay_together_When_split_by_rank()
    {
        var rollout = NewRollout([[5], [6], [7], [8], [9], [10]]);
        rollout = rollout with { Prompts = rollout.Prompts with { PromptIds = [0, 0, 0, 0, 1, 1] } };
        var ranks = NewRole().Build([With(rollout, [1, 2, 3, 4, 5, 6])], 2).PerRank;
        Assert.Equal([4, 2], ranks.Select(rank => rank.Rows));
    }

    [Fact]
    public void Measuring_changes_no_state_and_names_its_numbers_eval()
    {
        var role = NewRole(new() { KlTarget = 1, NormaliseRewards = true });
        var before = State(role);
        var window = role.Measure([With(NewRollout([[5, 6]]), [1])]);
        Assert.Equal(before, State(role));
        Assert.Empty(window.PerRank);
        Assert.All(window.Metrics.Keys, name => Assert.StartsWith("eval/", name, StringComparison.Ordinal));
        Assert.Equal(1, window.Metrics["eval/reward/score"]);
        Assert.Single(window.Samples);
    }

    [Fact]
    public void State_survives_capture_and_restore()
    {
        var options = new PpoExperienceOptions { KlTarget = 1, NormaliseRewards = true };
        var (first, second) = (NewRole(options), NewRole(options));
        first.Build([With(NewRollout([[5, 6], [7]]), [1, 2])], 1);
        var state = new MemoryState();
        first.Capture(state);
        second.Restore(state);
        Assert.Equal(State(first), State(second));
        var next = With(NewRollout([[5, 6], [7]]), [3, 5]);
        Assert.Equal(Numbers(first.Build([next], 1)), Numbers(second.Build([next], 1)));
    }

    // How many tensors are alive is a matter of the whole process, other tests included.
    private static IEnumerable<KeyValuePair<string, double>> Numbers(ExperienceWindow window) => window.Metrics.Where(metric => metric.Key != "sys/live_tensors");

    private static string State(PpoExperienceRole role)
    {
        var state = new MemoryState();
        role.Capture(state);
        return state.Fingerprint();
    }

    private static PpoExperienceRole NewRole(PpoExperienceOptions? options = null) =>
        new(options ?? new(), new TestNode().With(new RlhfPlugin()).With(new ByteTokenizer()));

    // Log-probabilities -1, reference -1.5, values .5; odd rows end at the length limit.
    private static Rollout NewRollout(int[][] responses)
    {
        var tokens = Ragged.FromRows(responses);
        return new Rollout(
            TinyNode.Prompts(new BatchId(1, 0), responses.Length),
            tokens,
            Filled(tokens, -1f),
            Filled(tokens, true),
            Filled(tokens, 1L),
            [.. responses.Select((_, row) => row % 2 == 0 ? FinishReason.Stop : FinishReason.Length)])
        {
            Temperature = .7,
        };
    }

    private static ScoredRollout With(Rollout rollout, float[] scores) => With(rollout, Scores.Of(ScoreKind.Rewards, Ragged.Scalars<float>(scores)));

    private static ScoredRollout With(Rollout rollout, Scores rewards) => new(rollout, new Dictionary<ScoreKind, Scores>
    {
        [ScoreKind.Rewards] = rewards,
        [ScoreKind.ReferenceLogProbs] = Scores.Of(ScoreKind.ReferenceLogProbs, Filled(rollout.Tokens, -1.5f)),
        [ScoreKind.Values] = Scores.Of(ScoreKind.Values, Filled(rollout.Tokens, .5f)),
    });

    private static Ragged<T> Filled<T>(Ragged<int> shape, T value) =>
        new(shape.Offsets, Enumerable.Repeat(value, shape.Values.Length).ToArray());
}
