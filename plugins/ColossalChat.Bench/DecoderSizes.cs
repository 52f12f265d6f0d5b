using System.Text.Json.Nodes;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Bench;

/// <summary>Sizes of a LLaMA decoder to measure.</summary>
internal sealed record DecoderSizes(int Hidden, int Layers, int Heads, int KeyValueHeads, int FeedForward, int Vocabulary, int Context)
{
    /// <summary>One kind of matrix of the model.</summary>
    /// <param name="Name">Such as q_proj.</param>
    /// <param name="Outputs">Rows of the weight.</param>
    /// <param name="Inputs">Columns of the weight.</param>
    /// <param name="Count">How many the model has.</param>
    public sealed record Matrix(string Name, int Outputs, int Inputs, int Count)
    {
        /// <summary>Multiply-adds of one token through all of them, times two.</summary>
        public double FlopsPerToken => 2.0 * Outputs * Inputs * Count;
    }

    /// <summary>All matrices that a token is multiplied with.</summary>
    public IReadOnlyList<Matrix> Matrices
    {
        get
        {
            var keys = Hidden / Heads * KeyValueHeads;
            return
            [
                new("q_proj", Hidden, Hidden, Layers),
                new("k_proj", keys, Hidden, Layers),
                new("v_proj", keys, Hidden, Layers),
                new("o_proj", Hidden, Hidden, Layers),
                new("gate_proj", FeedForward, Hidden, Layers),
                new("up_proj", FeedForward, Hidden, Layers),
                new("down_proj", Hidden, FeedForward, Layers),
                new("lm_head", Vocabulary, Hidden, 1),
            ];
        }
    }

    /// <summary>Floating-point operations of the matrices for one token: twice their elements.</summary>
    public double FlopsPerToken => Matrices.Sum(matrix => matrix.FlopsPerToken);

    /// <summary>All parameters: the matrices, the embedding, the norms.</summary>
    public long Parameters => (long)(FlopsPerToken / 2) + ((long)Vocabulary * Hidden) + (((2L * Layers) + 1) * Hidden);

    /// <summary>Everything wrong with the sizes, one sentence each.</summary>
    public IEnumerable<string> Problems()
    {
        if (Hidden < 1 || Layers < 1 || Heads < 1 || KeyValueHeads < 1 || FeedForward < 1 || Vocabulary < 2)
            yield return "hidden, layers, heads, key-value-heads and feed-forward must be 1 or more, vocabulary 2 or more.";
        else if (Hidden % Heads != 0 || Heads % KeyValueHeads != 0 || Hidden / Heads % 2 != 0)
            yield return $"hidden is {Hidden}, heads {Heads}, key-value-heads {KeyValueHeads}; heads must divide hidden into an even size, key-value-heads must divide heads.";
    }

    /// <summary>A model of these sizes with random weights.</summary>
    public ICausalModel Build(INodeContext node, ScalarType precision, Device device)
    {
        var config = new JsonObject
        {
            ["architectures"] = new JsonArray("LlamaForCausalLM"),
            ["model_type"] = "llama",
            ["hidden_size"] = Hidden,
            ["num_hidden_layers"] = Layers,
            ["num_attention_heads"] = Heads,
            ["num_key_value_heads"] = KeyValueHeads,
            ["intermediate_size"] = FeedForward,
            ["vocab_size"] = Vocabulary,
            ["max_position_embeddings"] = Context,
            ["rms_norm_eps"] = 1e-5,
            ["rope_theta"] = 10000.0,
            ["tie_word_embeddings"] = false,
            ["hidden_act"] = "silu",
            ["bos_token_id"] = 0,
            ["eos_token_id"] = 1,
        };
        return node.Resolve<IModelFamily>("llama")
            .Create(config.ToJsonString(), precision, device, new RandomKey(node.Seed, RandomPurpose.Initialisation));
    }

    /// <summary>For the report.</summary>
    public JsonObject ToJson() => new()
    {
        ["hidden"] = Hidden,
        ["layers"] = Layers,
        ["heads"] = Heads,
        ["key_value_heads"] = KeyValueHeads,
        ["feed_forward"] = FeedForward,
        ["vocabulary"] = Vocabulary,
        ["parameters"] = Parameters,
    };
}
