using ColossalChat.Contracts;
using ColossalChat.PluginKit;
using ColossalChat.Rlhf;
using ColossalChat.UnitTests.Rlhf.Support;
using Xunit;

namespace ColossalChat.UnitTests.Rlhf;

/// <summary>Weights that arrive whole in a model that is another one.</summary>
[Trait("Category", "CI")]
public sealed class CanaryPromptTests : IDisposable
{
    private readonly TestBlobLane _lane = new();
    private readonly TinyStore _trained = Store(attention: 1, seed: 7);
    private readonly PpoPolicyTrainer _policy;
    private readonly PpoCriticTrainer _critic;

    public CanaryPromptTests()
    {
        var node = Node(_trained, "trainer");
        (_policy, _critic) = (new PpoPolicyTrainer(new PpoPolicyOptions(), node), new PpoCriticTrainer(new PpoCriticOptions(), node));
    }

    public void Dispose()
    {
        _policy.Dispose();
        _critic.Dispose();
        _trained.Dispose();
    }

    [Fact]
    public void Readers_take_published_weights_over_When_their_model_says_the_same()
    {
        using var store = Store(attention: 1);
        var node = Node(store, "reader");
        using var rollouts = new RolloutRole(new RolloutOptions { MaxNewTokens = 3 }, node);
        using var values = new CriticRole(new CriticOptions(), node);

        rollouts.LoadWeights(_policy.Publish(1, 2, default), default);
        values.LoadWeights(_critic.Publish(1, 2, default), default);

        Assert.All(rollouts.Generate(TinyNode.Prompts(new BatchId(3, 0), 2), default).WeightVersions.Values.ToArray(), version => Assert.Equal(2, version));
    }

    [Fact]
    public void A_model_that_has_all_weights_and_says_something_else_is_refused()
    {
        using var store = Store(attention: 1.5);
        var node = Node(store, "reader");
        using var rollouts = new RolloutRole(new RolloutOptions(), node);
        using var values = new CriticRole(new CriticOptions(), node);

        Refused("policy", () => rollouts.LoadWeights(_policy.Publish(1, 2, default), default));
        Refused("critic", () => values.LoadWeights(_critic.Publish(1, 2, default), default));

        static void Refused(string model, Action load)
        {
            var message = Assert.Throws<InvalidOperationException>(load).Message;
            Assert.Contains($"With weights 2 of {model}, token ", message, StringComparison.Ordinal);
            Assert.Contains($"configure models.{model}, its adapter included, alike on all nodes.", message, StringComparison.Ordinal);
        }
    }

    private static TinyStore Store(double attention, ulong seed = 3) => new TinyStore()
        .Add("policy", new TinyModel(seed: seed, attention: attention))
        .Add("critic", new TinyModel(seed: seed + 1, attention: attention), hasValueHead: true);

    private TestNode Node(TinyStore store, string name) =>
        TinyNode.Over(store, new TestNode { Blobs = _lane, NodeName = name, ReadersAreElsewhere = true });
}
