using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Engine;
using ColossalChat.Lora;
using ColossalChat.Models;
using ColossalChat.Models.Store;
using ColossalChat.PluginKit;
using ColossalChat.Rewards;
using ColossalChat.Rlhf;
using ColossalChat.Text;
using ColossalChat.Zero;
using Xunit;

namespace ColossalChat.UnitTests.Models;

/// <summary>A reward model that was trained, exported and opened again gives the same scores.</summary>
[Trait("Category", "CI")]
public sealed class RewardProbeTests : IDisposable
{
    private readonly string _root = SmallModel.TemporaryFolder();

    [DataTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void Scores_of_real_sequences_survive_training_and_export(bool withLora)
    {
        var node = Node(new() { Path = TestData.PathOf("stories260K"), Head = "value", Adapter = withLora ? new("lora", new LoraOptions { Rank = 4, Alpha = 8 }) : null });
        var exported = Path.Combine(_root, "reward");
        float[] untrained, before;
        using (var trainer = new RewardTrainer(new RewardTrainerOptions { LearningRate = withLora ? 1e-2 : 1e-3 }, node))
        using (var role = new RewardModelRole(new RewardModelOptions(), node))
        {
            var pairs = Pairs(node);
            untrained = Score(role, node);
            for (var iteration = 1; iteration <= 6; iteration++)
                Train(trainer, pairs, iteration);
            before = Score(role, node);
            trainer.Export(exported);
            Assert.Equal(before, Score(role, node));
        }

        var again = Node(new() { Path = exported, Head = "value" });
        using var reopened = new RewardModelRole(new RewardModelOptions(), again);
        var after = Score(reopened, again);

        Assert.Equal(12, before.Length);
        Assert.All(before.Zip(after), pair => Assert.InRange(pair.Second, pair.First - 1e-5, pair.First + 1e-5));
        Assert.True(untrained.Zip(before).Max(pair => Math.Abs(pair.First - pair.Second)) > 0.1, "Training moves the scores, or the test shows nothing.");
        Assert.True(before.Max() - before.Min() > 0.1, $"The scores tell the sequences apart: {string.Join(' ', before)}");
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private static TestNode Node(ModelSource reward)
    {
        var node = new TestNode().With(new ModelsPlugin()).With(new TextPlugin()).With(new EnginePlugin()).With(new ZeroPlugin()).With(new RlhfPlugin()).With(new LoraPlugin());
        node.Create(new PluginChoice<IModelStore>("models", new ModelStoreOptions { Models = new Dictionary<string, ModelSource> { ["reward"] = reward } }));
        return node;
    }

    // Real pairs that fit the model, as the reward model's data source makes them.
    private static Experience Pairs(TestNode node) => node.Create(new PluginChoice<IBatchSource>("preference-batches", new PreferenceBatchOptions
    {
        Files = [TestData.PathOf("instruct", "dpo_en_demo.json"), TestData.PathOf("instruct", "dpo_zh_demo.json")],
        BatchSize = 8,
    })).Take(1, 1)[0];

    private static void Train(RewardTrainer trainer, Experience pairs, long iteration)
    {
        var steps = trainer.Begin(new TrainRequest(iteration, 6, pairs));
        for (var step = 0; step < steps; step++)
            trainer.Finish(step, trainer.Compute(step, CancellationToken.None));
        trainer.End();
    }

    // Beginnings of real answers in both languages: ragged, some cut off in the middle.
    private static float[] Score(RewardModelRole role, TestNode node)
    {
        var tokenizer = node.Resolve<IModelCatalog>("models").TextOf("reward").Tokenizer;
        var rows = new[] { "alpaca_en_demo.json", "alpaca_zh_demo.json" }
            .SelectMany(file => JsonDocument.Parse(File.ReadAllBytes(TestData.PathOf("instruct", file))).RootElement.EnumerateArray().Take(6).ToArray())
            .Select(row => (Start(row.GetProperty("instruction").GetString()!), Start(row.GetProperty("output").GetString()!)));
        return role.Score(SampleRollouts.OfTexts(tokenizer, [.. rows]), CancellationToken.None).Values.Values.ToArray();
    }

    private static string Start(string text) => text.Length > 60 ? text[..60] : text;
}
