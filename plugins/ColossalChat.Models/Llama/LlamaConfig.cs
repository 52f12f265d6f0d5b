using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Models.Llama;

/// <summary>What config.json says about a LLaMA model. Field names and defaults are those of Hugging Face's LlamaConfig.</summary>
internal sealed record LlamaConfig
{
    /// <summary>Sizes.</summary>
    public required ModelShape Shape { get; init; }

    /// <summary>Elements of one head.</summary>
    public required int HeadSize { get; init; }

    /// <summary>Base of the rotary angles.</summary>
    public required double RotaryBase { get; init; }

    /// <summary>Added to the mean square before its root.</summary>
    public required double NormEpsilon { get; init; }

    /// <summary>True when the head's weight is the embedding's.</summary>
    public required bool TiedHead { get; init; }

    /// <summary>True when the attention's linear layers have biases.</summary>
    public required bool AttentionBias { get; init; }

    /// <summary>True when the feed-forward's linear layers have biases.</summary>
    public required bool FeedForwardBias { get; init; }

    /// <summary>Standard deviation of first weights.</summary>
    public required double InitialiserRange { get; init; }

    /// <summary>Reads config.json.</summary>
    /// <exception cref="UserErrorException">A field is missing or asks for something this family does not do.</exception>
    public static LlamaConfig Parse(string configJson)
    {
        using var json = JsonDocument.Parse(configJson);
        var config = new ConfigFields(json.RootElement);
        Refuse(config);
        var heads = config.Integer("num_attention_heads");
        var hidden = config.Integer("hidden_size");
        var keyValueHeads = config.Integer("num_key_value_heads", heads);
        if (heads % keyValueHeads != 0)
            throw new UserErrorException($"config.json: num_key_value_heads is {keyValueHeads}; it must divide num_attention_heads, {heads}.");
        if (!config.Has("head_dim") && hidden % heads != 0)
            throw new UserErrorException($"config.json: hidden_size is {hidden}; without head_dim it must be a multiple of num_attention_heads, {heads}.");
        var headSize = config.Integer("head_dim", hidden / heads);
        if (headSize % 2 != 0)
            throw new UserErrorException($"config.json: the head size is {headSize}; rotary embeddings need an even one.");
        return new LlamaConfig
        {
            Shape = new ModelShape(
                LlamaFamily.Name,
                config.Integer("vocab_size"),
                hidden,
                config.Integer("num_hidden_layers"),
                heads,
                keyValueHeads,
                config.Integer("intermediate_size"),
                config.Integer("max_position_embeddings", 2048)),
            HeadSize = headSize,
            RotaryBase = RotaryBaseOf(config),
            NormEpsilon = config.Number("rms_norm_eps", 1e-6),
            TiedHead = config.Flag("tie_word_embeddings", false),
            AttentionBias = config.Flag("attention_bias", false),
            FeedForwardBias = config.Flag("mlp_bias", false),
            InitialiserRange = config.Number("initializer_range", 0.02),
        };
    }

    private static void Refuse(ConfigFields config)
    {
        var activation = config.Text("hidden_act", "silu");
        if (activation != "silu")
            throw new UserErrorException($"config.json: hidden_act is {activation}; the llama family computes silu.");
        foreach (var field in (string[])["rope_scaling", "rope_parameters"])
            if (config.Section(field) is { } scaling
                && (scaling.TryGetProperty("rope_type", out var type) || scaling.TryGetProperty("type", out type))
                && type.GetString() is var kind and not "default")
                throw new UserErrorException($"config.json: {field} asks for {kind}; the llama family computes unscaled rotary embeddings only. Use a model without {field}.");
        if (config.Number("partial_rotary_factor", 1) != 1)
            throw new UserErrorException("config.json: partial_rotary_factor is not 1; the llama family rotates whole heads.");
    }

    private static double RotaryBaseOf(ConfigFields config) =>
        config.Section("rope_parameters") is { } rope && rope.TryGetProperty("rope_theta", out var theta)
            ? theta.GetDouble()
            : config.Number("rope_theta", 10000);
}
