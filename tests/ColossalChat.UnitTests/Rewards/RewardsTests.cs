using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.PluginKit;
using ColossalChat.Rewards;
using ColossalChat.UnitTests.Rlhf.Support;
using Xunit;

namespace ColossalChat.UnitTests.Rewards;

[Trait("Category", "CI")]
public sealed class RewardsPluginTests : PluginConformance
{
    protected override IPlugin CreatePlugin() => new RewardsPlugin();
}

[Trait("Category", "CI")]
public sealed class LengthRewardTests : ScoringRoleConformance
{
    protected override float Tolerance => 0;

    protected override IScoringRole CreateRole(TestNode node) => new LengthReward(new LengthRewardOptions { Target = 10 });
}

[Trait("Category", "CI")]
public sealed class WordRewardTests : ScoringRoleConformance
{
    protected override float Tolerance => 0;

    protected override IScoringRole CreateRole(TestNode node) => new WordReward(new WordRewardOptions(), node);

    [Theory]
    [InlineData("She was HAPPY and had fun.", 2 / 3.0)]
    [InlineData("Unhappy, unkind: friendship is no friend.", 1 / 3.0)]
    [InlineData("He was sad, sad, sad and cried. A friend came.", -1)]
    [InlineData("happy love fun kind hug", 1)]
    [InlineData("好", 0)]
    [InlineData("", 0)]
    public void Whole_words_count_and_the_score_is_clamped(string answer, double expected)
    {
        using var role = new WordReward(new WordRewardOptions(), new TestNode());
        Assert.Equal(expected, role.OfText(answer), 1e-9);
    }

    [Fact]
    public void A_word_on_both_lists_is_a_mistake() =>
        Assert.Contains("'Kind'", Assert.Single(new WordRewardOptions { GoodWords = ["Kind"], BadWords = ["kind"] }.Problems()), StringComparison.Ordinal);
}

[Trait("Category", "CI")]
public sealed class RewardModelRoleTests : ScoringRoleConformance
{
    protected override IScoringRole CreateRole(TestNode node)
    {
        node.With<IModelStore>("models", new TinyStore().Add("reward", new TinyModel(vocabulary: 258, context: 256), hasValueHead: true));
        return new RewardModelRole(new RewardModelOptions { MicroBatchTokens = 64 }, node);
    }

    [Fact] // Property 13: what does not fit is a failure with a reason, never a number.
    public void A_sequence_beyond_the_context_fails_with_a_reason()
    {
        using var store = new TinyStore().Add("reward", new TinyModel(vocabulary: 258), hasValueHead: true);
        var node = new TestNode().With<IModelStore>("models", store);
        using var role = new RewardModelRole(new RewardModelOptions(), node);
        var scores = role.Score(SampleRollouts.OfTexts(new ByteTokenizer(), ("Hi", "short"), ("Hi", new string('x', 100))), default);
        Assert.Equal([ScoreOutcome.Value, ScoreOutcome.Failed], scores.Outcomes);
        Assert.Contains("takes 64", scores.Reasons[1], StringComparison.Ordinal);
    }

    [Fact]
    public void Ids_of_another_tokenizer_are_encoded_again_from_text()
    {
        using var store = new TinyStore().Add("reward", new TinyModel(vocabulary: 258), hasValueHead: true);
        var node = new TestNode().With<IModelStore>("models", store).With(new ShiftedBytes());
        using var role = new RewardModelRole(new RewardModelOptions(), node);
        var own = role.Score(SampleRollouts.OfTexts(new ByteTokenizer(), ("Hi", " you"), ("A", "b")), default);
        var foreign = role.Score(SampleRollouts.OfTexts(new ShiftedBytes(), ("Hi", " you"), ("A", "b")), default);
        Assert.Equal(own.Values.Values.ToArray(), foreign.Values.Values.ToArray());
    }

    [Fact]
    public void Another_template_renders_the_conversation_and_not_its_rendering()
    {
        using var store = new TinyStore().Add("reward", new TinyModel(vocabulary: 258), hasValueHead: true);
        var node = new TestNode().With<IModelStore>("models", store).With(new ShiftedBytes());
        using var role = new RewardModelRole(new RewardModelOptions(), node);
        var own = role.Score(SampleRollouts.OfTexts(new ByteTokenizer(), ("Hi", " you")), default);
        var framed = SampleRollouts.OfTexts(new ShiftedBytes(), ("<user>Hi</user>", " you"));
        framed = framed with { Prompts = framed.Prompts with { Conversations = [[new ChatMessage(ChatRole.User, "Hi")]] } };

        var stopped = role.Score(framed, default);
        var cut = role.Score(framed with { FinishReasons = [FinishReason.Length] }, default);

        Assert.Equal(own.Values.Values.ToArray(), stopped.Values.Values.ToArray());
        Assert.NotEqual(own.Values.Values.ToArray(), cut.Values.Values.ToArray());
    }

    /// <summary>Bytes with other ids.</summary>
    private sealed class ShiftedBytes : ITokenizer
    {
        private readonly ByteTokenizer _bytes = new();

        public string Hash => "shifted";

        public int VocabularySize => 300;

        public int? BosId => 257;

        public IReadOnlyList<int> EosIds => [258];

        public IReadOnlyDictionary<string, int> SpecialTokens => new Dictionary<string, int>();

        public IReadOnlyList<int> Encode(string text) => [.. _bytes.Encode(text).Select(id => id + 1)];

        public IReadOnlyList<int> EncodeDocument(string text) => [257, .. Encode(text)];

        public string Decode(IEnumerable<int> ids, bool withSpecial = false) => _bytes.Decode(ids.Select(id => id - 1), withSpecial);

        public ITextStream NewStream() => throw new NotSupportedException();
    }
}
