using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using ColossalChat.PluginKit;
using ColossalChat.Rlhf;
using ColossalChat.UnitTests.Rlhf.Support;
using Xunit;

namespace ColossalChat.UnitTests.Rlhf;

[Trait("Category", "CI")]
public sealed class ReferenceRoleTests : ScoringRoleConformance
{
    protected override IScoringRole CreateRole(TestNode node)
    {
        node.With<IModelStore>("models", new TinyStore().Add("reference", new TinyModel(vocabulary: 258, context: 128)));
        return new ReferenceRole(new ReferenceOptions { MicroBatchTokens = 64 }, node);
    }

    [Fact]
    public void Logits_are_divided_by_the_rollouts_temperature_once()
    {
        using var store = new TinyStore().Add("reference", new TinyModel());
        using var role = new ReferenceRole(new ReferenceOptions(), TinyNode.Over(store));
        var rollout = SampleRollouts.OfRandomIds(new ByteTokenizer().Hash, 11) with { Temperature = .5 };
        var expected = SequenceScoring.LogProbs(store["reference"].Body, SequenceScoring.ResponsesOf(rollout), .5, 9999, default);
        var actual = role.Score(rollout, default);
        Assert.Equal(expected, actual.Values.Values.ToArray(), (a, b) => Math.Abs(a - b) < 1e-5);
        Assert.NotEqual(actual.Values.Values.ToArray(), role.Score(rollout with { Temperature = 1 }, default).Values.Values.ToArray());
    }
}

[Trait("Category", "CI")]
public sealed class CriticRoleTests : ScoringRoleConformance
{
    protected override IScoringRole CreateRole(TestNode node)
    {
        node.With<IModelStore>("models", new TinyStore().Add("critic", new TinyModel(vocabulary: 258, context: 128), hasValueHead: true));
        return new CriticRole(new CriticOptions { MicroBatchTokens = 64 }, node);
    }

    [Fact]
    public void A_value_does_not_see_the_token_it_is_read_for()
    {
        using var store = new TinyStore().Add("critic", new TinyModel(), hasValueHead: true);
        using var role = new CriticRole(new CriticOptions(), TinyNode.Over(store));
        var rollout = SampleRollouts.OfRandomIds(new ByteTokenizer().Hash, 11, rows: 2, longest: 9);
        var other = rollout.Tokens.Values.ToArray();
        other[^1] = (other[^1] + 1) % 11;
        var before = role.Score(rollout, default).Values.Values.ToArray();
        var after = role.Score(rollout with { Tokens = new Ragged<int>(rollout.Tokens.Offsets, other) }, default).Values.Values.ToArray();
        Assert.Equal(before, after);
    }

    [Fact]
    public void A_model_without_a_value_head_is_refused_and_given_back()
    {
        using var store = new TinyStore().Add("critic", new TinyModel());
        var node = TinyNode.Over(store);
        Assert.Contains("models.critic.head = value", Assert.Throws<UserErrorException>(() => new CriticRole(new CriticOptions(), node)).Message, StringComparison.Ordinal);
        Assert.Equal(0, store.Loans);
    }
}

[Trait("Category", "CI")]
public sealed class RolloutFitTests
{
    [Theory]
    [InlineData("critic")]
    [InlineData("reference")]
    public void Ids_of_another_tokenizer_are_refused_by_hash_with_the_model_and_what_to_do(string model)
    {
        using var store = new TinyStore().Add(model, new TinyModel(vocabulary: 258), hasValueHead: true);
        using var role = Role(model, store);
        var own = new ByteTokenizer();
        var rollout = SampleRollouts.OfRandomIds("another-hash", 11);
        var error = Assert.Throws<UserErrorException>(() => role.Score(rollout, default));
        Assert.Contains($"models.{model} has the tokenizer {own.Hash}", error.Message, StringComparison.Ordinal);
        Assert.Contains("another-hash", error.Message, StringComparison.Ordinal);
        Assert.Contains($"Set models.{model}.path", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("critic")]
    [InlineData("reference")]
    public void Rows_beyond_the_context_are_refused_with_both_lengths(string model)
    {
        using var store = new TinyStore().Add(model, new TinyModel(context: 8), hasValueHead: true);
        using var role = Role(model, store);
        var rollout = SampleRollouts.OfRandomIds(new ByteTokenizer().Hash, 11);
        var error = Assert.Throws<UserErrorException>(() => role.Score(rollout, default));
        Assert.Contains($"models.{model} takes 8 tokens, but row 2 of batch 1.0 has", error.Message, StringComparison.Ordinal);
        Assert.Contains("max-new-tokens", error.Message, StringComparison.Ordinal);
        Assert.Equal(2, role.Score(SampleRollouts.Pick(rollout, [0, 1]), default).Values.Rows);
    }

    private static IScoringRole Role(string model, TinyStore store) => model == "critic"
        ? new CriticRole(new CriticOptions(), TinyNode.Over(store))
        : new ReferenceRole(new ReferenceOptions(), TinyNode.Over(store));
}

[Trait("Category", "CI")]
public sealed class RolloutRoleTests
{
    [Fact]
    public void Answers_carry_their_log_probabilities_version_and_temperature()
    {
        using var store = new TinyStore().Add("policy", new TinyModel());
        using var role = NewRole(store, new SamplingOptions { Temperature = .8 });
        role.LoadWeights(new WeightsPublication("policy", 1, 7, "", null), default);
        role.LoadWeights(new WeightsPublication("critic", 1, 9, "", null), default);
        role.LoadWeights(new WeightsPublication("policy", 0, 8, "", null), default);
        var rollout = role.Generate(TinyNode.Prompts(new BatchId(1, 0), 5), default);
        Assert.Equal(.8, rollout.Temperature);
        Assert.All(rollout.WeightVersions.Values.ToArray(), version => Assert.Equal(7, version));
        var again = SequenceScoring.LogProbs(store["policy"].Body, SequenceScoring.ResponsesOf(rollout), .8, 9999, default);
        Assert.Equal(again, rollout.LogProbs.Values.ToArray(), (a, b) => Math.Abs(a - b) < 1e-5);
    }

    [Fact]
    public void Measurements_draw_the_same_numbers_at_every_iteration_and_training_does_not()
    {
        using var store = new TinyStore().Add("policy", new TinyModel());
        using var role = NewRole(store, new SamplingOptions());
        int[] Tokens(long iteration, BatchPurpose purpose) =>
            role.Generate(TinyNode.Prompts(new BatchId(iteration, 0, purpose), 8), default).Tokens.Values.ToArray();
        Assert.Equal(Tokens(3, BatchPurpose.Evaluate), Tokens(9, BatchPurpose.Evaluate));
        Assert.Equal(Tokens(3, BatchPurpose.Train), Tokens(3, BatchPurpose.Train));
        Assert.NotEqual(Tokens(3, BatchPurpose.Train), Tokens(4, BatchPurpose.Train));
    }

    [Fact] // The trainer knows nothing of top-k: ratios and divergences need the whole distribution.
    public void Log_probabilities_are_those_of_the_whole_distribution_When_it_is_cut_for_drawing()
    {
        using var store = new TinyStore().Add("policy", new TinyModel());
        using var role = NewRole(store, new SamplingOptions { TopK = 2, Temperature = 1.3 });
        var rollout = role.Generate(TinyNode.Prompts(new BatchId(1, 0), 5), default);
        var expected = SequenceScoring.LogProbs(store["policy"].Body, SequenceScoring.ResponsesOf(rollout), 1.3, 9999, default);
        Assert.Equal(expected, rollout.LogProbs.Values.ToArray(), (a, b) => Math.Abs(a - b) < 1e-6);
    }

    private static RolloutRole NewRole(TinyStore store, SamplingOptions sampling) =>
        new(new RolloutOptions { MaxNewTokens = 4, Sampling = sampling }, TinyNode.Over(store));
}
