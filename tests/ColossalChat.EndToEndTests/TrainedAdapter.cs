using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Lora;
using ColossalChat.Models;
using ColossalChat.Models.Store;
using ColossalChat.PluginKit;
using ColossalChat.Text;

namespace ColossalChat.EndToEndTests;

/// <summary>What a run's LoRA adapter computes, switched on and merged, on real stories and in this process.</summary>
/// <param name="baseFolder">The model it was trained on.</param>
/// <param name="exported">The run's exported model: merged weights, the adapter alone in <c>adapter/</c>.</param>
internal sealed class TrainedAdapter(string baseFolder, string exported)
{
    private const int Stories = 12;

    /// <summary>Distances to the log-probabilities with the adapter on, each as a share of its value where that is above 1.</summary>
    /// <param name="Exported">Largest distance of the exported model.</param>
    /// <param name="Merged">Largest distance after merging here.</param>
    /// <param name="Effect">Largest distance of the model without the adapter.</param>
    /// <param name="EqualTensors">Tensors of the base that merging and un-merging left bit for bit.</param>
    /// <param name="Tensors">All of them.</param>
    public sealed record Comparison(double Exported, double Merged, double Effect, int EqualTensors, int Tensors);

    /// <summary>Computes all of them.</summary>
    public Comparison Compare()
    {
        var node = new TestNode().With(new ModelsPlugin()).With(new LoraPlugin()).With(new TextPlugin());
        var store = node.Create(new PluginChoice<IModelStore>("models", new ModelStoreOptions
        {
            Models = new Dictionary<string, ModelSource>
            {
                ["adapted"] = new()
                {
                    Path = baseFolder, Adapter = new PluginChoice<IModelAdapter>("lora", new LoraOptions { Rank = 8, Alpha = 16 }), AdapterPath = Path.Combine(exported, "adapter"),
                },
                ["exported"] = new() { Path = exported },
                ["base"] = new() { Path = baseFolder },
            },
        }));
        using var adapted = store.Borrow("adapted");
        using var merged = store.Borrow("exported");
        using var plain = store.Borrow("base");
        var stories = ReadStories(plain.Text.Tokenizer);
        float[] On()
        {
            using var active = adapted.Activate();
            return adapted.LanguageModel.LogProbs(stories, default).Values.ToArray();
        }

        var on = On();
        adapted.Adapter!.Merge();
        var mergedHere = On();
        adapted.Adapter.Unmerge();
        var slots = Slots(adapted.Body).Zip(Slots(plain.Body)).ToArray();
        return new Comparison(
            Distance(on, merged.LanguageModel.LogProbs(stories, default).Values.ToArray()),
            Distance(on, mergedHere),
            Distance(on, plain.LanguageModel.LogProbs(stories, default).Values.ToArray()),
            slots.Count(pair => pair.First.Name == pair.Second.Name && pair.First.Value.bytes.SequenceEqual(pair.Second.Value.bytes)),
            slots.Length);
    }

    private static Ragged<int> ReadStories(ITokenizer tokenizer) => Ragged.FromRows(
        File.ReadAllText(Repository.DataPath("text", "tinystories.txt")).Split("\n\n", StringSplitOptions.RemoveEmptyEntries)
            .Where(paragraph => paragraph.StartsWith("Once upon a time", StringComparison.Ordinal)).Take(Stories)
            .Select(story => tokenizer.EncodeDocument(story).Take(256).ToArray()));

    private static IEnumerable<ParameterSlot> Slots(ICausalModel model) =>
        model.Embedding.Parameters.Concat(model.Blocks.SelectMany(block => block.Parameters)).Concat(model.LanguageHead.Parameters).Distinct();

    private static double Distance(float[] expected, float[] seen)
    {
        Assert.Equal(expected.Length, seen.Length);
        return expected.Zip(seen).Max(pair => Math.Abs(pair.Second - (double)pair.First) / Math.Max(1, Math.Abs(pair.First)));
    }
}
