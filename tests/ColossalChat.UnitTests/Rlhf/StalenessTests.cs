using ColossalChat.Contracts;
using ColossalChat.Rlhf;
using ColossalChat.UnitTests.Rlhf.Support;
using CsCheck;
using Xunit;

namespace ColossalChat.UnitTests.Rlhf;

/// <summary>Answers of older weights: their importance weights, and how they come to be.</summary>
[Trait("Category", "CI")]
public sealed class StalenessTests
{
    [Fact] // By hand: log-ratios 0.5, -1, 2 and, of a token of the newest weights, 0.3; cap 2.
    public void Weights_are_the_golden_ones()
    {
        var experience = Stale(
            isTarget: [[false, true, true, true], [false, true]],
            old: [[0, -1.5f, -1, -3], [0, -0.7f]],
            staleness: [[0, 1, 2, 1], [0, 0]]);

        var corrected = StaleExperience.Correct(experience, [-1, -2, -1, -0.4f], cap: 2);

        AssertClose([0, 1.6487213f, 0.36787945f, 2, 0, 1], corrected.Experience.Columns[ExperienceColumns.ImportanceWeights]);
        AssertClose([0, -1, -2, -1, 0, -0.7f], corrected.Experience.Columns[ExperienceColumns.OldLogProbs]);
        Assert.Equal((1.6487213 + 0.36787945 + 2) / 3, corrected.Metrics["train/importance_mean"], 1e-6);
        Assert.Equal(2, corrected.Metrics["train/importance_max"]);
        Assert.Equal(1.0 / 3, corrected.Metrics["train/importance_capped_share"], 1e-9);
        Assert.Throws<ArgumentException>(() => StaleExperience.Correct(experience, [-1, -2, -1], cap: 2));
        Assert.Throws<ArgumentException>(() => StaleExperience.Correct(experience, [-1, -2, -1, -1, -1], cap: 2));
    }

    [Fact]
    public void Weights_are_capped_1_of_the_newest_weights_and_0_where_there_is_no_target() =>
        Gen.Select(Gen.Bool.Array[2, 12], Gen.Int[0, 3].Array[12], Gen.Float[-40, 0].Array[12], Gen.Float[-40, 0].Array[12], Gen.Double[1, 5])
            .Sample((flags, ages, old, now, cap) =>
            {
                flags[0] = false;
                var length = flags.Length;
                var experience = Stale([flags], [old[..length]], [ages[..length].Select(age => (float)age).ToArray()]);
                var proximal = Enumerable.Range(0, length).Where(i => flags[i]).Select(i => now[i]).ToArray();

                var corrected = StaleExperience.Correct(experience, proximal, cap).Experience;

                var weights = corrected.Columns[ExperienceColumns.ImportanceWeights].Values.ToArray();
                var logProbs = corrected.Columns[ExperienceColumns.OldLogProbs].Values.ToArray();
                for (var i = 0; i < length; i++)
                {
                    var isStale = flags[i] && ages[i] > 0;
                    Assert.Equal(isStale ? Math.Min(cap, Math.Exp(Math.Min(20, now[i] - (double)old[i]))) : flags[i] ? 1 : 0, weights[i], 1e-5);
                    Assert.Equal(isStale ? now[i] : old[i], logProbs[i]);
                }
            });

    [Fact]
    public void Answers_of_the_newest_weights_have_no_staleness_and_older_ones_have()
    {
        using var store = Store();

        Assert.DoesNotContain(ExperienceColumns.Staleness, ExperienceOf(store, iteration: 1, version: 1).Columns.Keys);
        var stale = ExperienceOf(store, iteration: 4, version: 2);
        var ages = stale.Columns[ExperienceColumns.Staleness];
        Assert.True(ages.HasShapeOf(stale.Tokens));
        Assert.All(Enumerable.Range(0, ages.Values.Length), i => Assert.Equal(stale.IsTarget.Values.Span[i] ? 2 : 0, ages.Values.Span[i]));
    }

    [Theory] // Old weights that are no different from the new ones weigh 1, and a cap of 0 asks nobody.
    [InlineData(2, true)]
    [InlineData(0, false)]
    public void Stale_answers_of_the_very_same_policy_are_learnt_from_as_fresh_ones(double cap, bool isMeasured)
    {
        var fresh = Learn(iteration: 3, version: 3, cap, _ => { });
        var stale = Learn(iteration: 3, version: 2, cap, _ => { });

        Assert.Equal(isMeasured, stale.ContainsKey("train/importance_mean"));
        Assert.DoesNotContain("train/importance_mean", fresh.Keys);
        if (isMeasured)
            Assert.Equal((1.0, 0.0), (Math.Round(stale["train/importance_mean"], 4), stale["train/importance_capped_share"]));
        Assert.Equal(fresh["policy/loss"], stale["policy/loss"], 1e-5);
        Assert.Equal(fresh["policy/grad_norm"], stale["policy/grad_norm"], 1e-4 * Math.Max(1, fresh["policy/grad_norm"]));
    }

    [Fact]
    public void The_ratio_of_stale_answers_begins_at_1_whatever_wrote_them()
    {
        static void Shift(TinyStore store)
        {
            using var noGrad = TorchSharp.torch.no_grad();
            store["policy"].Body.LanguageHead.Parameters[^1].Value.detach().mul_(1.5);
        }

        var decoupled = Learn(iteration: 3, version: 2, cap: 2, Shift);
        var plain = Learn(iteration: 3, version: 2, cap: 0, Shift);

        Assert.Equal(1, decoupled["policy/ratio_max"], 1e-4);
        Assert.InRange(decoupled["train/importance_max"], 1.0001, 2);
        Assert.True(plain["policy/ratio_max"] > 1.001, $"{plain["policy/ratio_max"]}");
    }

    [Fact]
    public void A_running_answer_goes_on_with_new_weights_and_tells_which_wrote_each_token()
    {
        using var store = Store();
        var node = TinyNode.Over(store);
        using var rollouts = new RolloutRole(new RolloutOptions { MaxNewTokens = 5 }, node);
        rollouts.LoadWeights(Publication(3), default);
        var prompts = TinyNode.Prompts(new BatchId(4, 0), 2);
        var inbox = new Inbox(afterTokens: 2, Publication(4));

        var rollout = rollouts.Generate(prompts, inbox, default);

        Assert.Equal([3, 3, 4, 4, 4], rollout.WeightVersions[0].ToArray().Select(version => (int)version));
        Assert.All(rollout.WeightVersions[1].ToArray(), version => Assert.Equal(4, version));
        // The same publication once more is no change.
        Assert.All(rollouts.Generate(prompts, new Inbox(1, Publication(4)), default).WeightVersions.Values.ToArray(), version => Assert.Equal(4, version));
    }

    [Fact] // Their log-probabilities are taken again afterwards, with the weights that are there then.
    public void Truncated_answers_are_written_with_one_version()
    {
        using var store = Store();
        using var rollouts = new RolloutRole(new RolloutOptions { MaxNewTokens = 5, Sampling = new SamplingOptions { TopK = 4 } }, TinyNode.Over(store));
        rollouts.LoadWeights(Publication(3), default);

        var rollout = rollouts.Generate(TinyNode.Prompts(new BatchId(4, 0), 2), new Inbox(2, Publication(4)), default);

        Assert.All(rollout.WeightVersions.Values.ToArray(), version => Assert.Equal(3, version));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(0.5)]
    [InlineData(double.NaN)]
    public void A_cap_below_1_is_refused(double cap) =>
        Assert.Contains("importance-cap", Assert.Single(new PpoPolicyOptions { ImportanceCap = cap }.Problems()), StringComparison.Ordinal);

    private static TinyStore Store() => new TinyStore()
        .Add("policy", new TinyModel())
        .Add("reference", new TinyModel())
        .Add("critic", new TinyModel(seed: 2), hasValueHead: true);

    private static WeightsPublication Publication(long version) => new("policy", 1, version, $"hash {version}", null);

    private static IReadOnlyDictionary<string, double> Learn(long iteration, long version, double cap, Action<TinyStore> after)
    {
        using var store = Store();
        var experience = ExperienceOf(store, iteration, version);
        after(store);
        var options = new PpoPolicyOptions { Epochs = 1, MiniBatches = 1, ImportanceCap = cap };
        using var policy = new PpoPolicyTrainer(options, TinyNode.Over(store));
        return TinyNode.Train(policy, experience, iteration);
    }

    private static Experience ExperienceOf(TinyStore store, long iteration, long version)
    {
        var node = TinyNode.Over(store);
        using var rollouts = new RolloutRole(new RolloutOptions { MaxNewTokens = 5 }, node);
        using var reference = new ReferenceRole(new ReferenceOptions(), node);
        using var critic = new CriticRole(new CriticOptions(), node);
        rollouts.LoadWeights(Publication(version), default);
        var rollout = rollouts.Generate(TinyNode.Prompts(new BatchId(iteration, 0), 8), default);
        var rewards = Scores.Of(ScoreKind.Rewards, Ragged.Scalars<float>(Enumerable.Range(0, 8).Select(i => (float)Math.Sin(i)).ToArray()));
        var scored = new ScoredRollout(rollout, new[] { reference.Score(rollout, default), critic.Score(rollout, default), rewards }.ToDictionary(s => s.Kind));
        return new PpoExperienceRole(new PpoExperienceOptions(), node).Build([scored], 1).PerRank[0];
    }

    private static Experience Stale(bool[][] isTarget, float[][] old, float[][] staleness) => new(
        Ragged.FromRows(isTarget.Select(row => new int[row.Length])),
        Ragged.FromRows(isTarget),
        new Dictionary<string, Ragged<float>>
        {
            [ExperienceColumns.OldLogProbs] = Ragged.FromRows(old),
            [ExperienceColumns.Staleness] = Ragged.FromRows(staleness),
        });

    private static void AssertClose(float[] expected, Ragged<float> seen)
    {
        Assert.Equal(expected.Length, seen.Values.Length);
        for (var i = 0; i < expected.Length; i++)
            Assert.Equal(expected[i], seen.Values.Span[i], 1e-6f);
    }

    // A publication that comes before the token of a number.
    private sealed class Inbox(int afterTokens, WeightsPublication publication) : IWeightInbox
    {
        private int _asked;

        public WeightsPublication? Take(string model) => _asked++ == afterTokens && model == publication.Model ? publication : null;
    }
}
