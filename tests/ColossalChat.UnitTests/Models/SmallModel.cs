using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models;
using ColossalChat.Models.Llama;
using ColossalChat.PluginKit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Models;

/// <summary>Small models with random weights.</summary>
internal static class SmallModel
{
    public static string Config(bool tied = true, int keyValueHeads = 2, string extra = "") => $$"""
        {
          "model_type": "llama", "vocab_size": 258, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
          "num_attention_heads": 4, "num_key_value_heads": {{keyValueHeads}}, "max_position_embeddings": 64,
          "tie_word_embeddings": {{(tied ? "true" : "false")}}, "initializer_range": 0.3, "torch_dtype": "float32"{{extra}}
        }
        """;

    public static ICausalModel Create(bool tied = true, int keyValueHeads = 2, ScalarType precision = ScalarType.Float32, ulong seed = 1) =>
        new LlamaFamily().Create(Config(tied, keyValueHeads), precision, CPU, new RandomKey(seed, RandomPurpose.Initialisation));

    public static TestNode Node() => new TestNode().With(new ModelsPlugin());

    /// <summary>[rows x T, V] logits of right-padded rows, whole sequences at once.</summary>
    public static Tensor Logits(ICausalModel model, long[][] rows, int padded, long pad = 0)
    {
        using var scope = NewDisposeScope();
        var ids = rows.SelectMany(row => row.Concat(Enumerable.Repeat(pad, padded - row.Length))).ToArray();
        var layout = new SequenceLayout([.. rows.Select(row => row.Length)], padded);
        var hidden = model.Embed(tensor(ids, [rows.Length, padded]));
        foreach (var block in model.Blocks)
            hidden = block.Forward(hidden, layout);
        return model.LanguageHead.Forward(hidden.view(-1, model.Shape.HiddenSize)).MoveToOuterDisposeScope();
    }

    /// <summary>Ids that look random, the same each time.</summary>
    public static long[] Ids(int seed, int count) =>
        [.. Enumerable.Range(0, count).Select(i => (long)(new RandomKey((ulong)seed, RandomPurpose.Data).Bits(i) % 256))];

    public static ReadOnlyMemory<int> Prompt(int seed, int count) => Ids(seed, count).Select(id => (int)id).ToArray();

    public static float MaxDistance(Tensor a, Tensor b)
    {
        using var scope = NewDisposeScope();
        return (a.to(ScalarType.Float32) - b.to(ScalarType.Float32)).abs().max().item<float>();
    }

    /// <summary>A folder for one test, deleted by the caller.</summary>
    public static string TemporaryFolder() => Directory.CreateTempSubdirectory("colossalchat-models-").FullName;
}
