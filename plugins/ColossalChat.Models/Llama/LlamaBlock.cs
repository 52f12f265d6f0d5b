using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Cache;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Models.Llama;

// B = rows, T = new tokens, S = tokens in the cache, H = hidden size, D = head size, K = key-value heads,
// G = query heads that share one key-value head, Q = K x G query heads.

/// <summary>Norm, grouped-query attention, norm, gated feed-forward; each added to its input.</summary>
internal sealed class LlamaBlock : IModelBlock
{
    private readonly int _layer;
    private readonly LlamaConfig _config;
    private readonly RotaryTable _rotary;
    private readonly NormPart _attentionNorm;
    private readonly NormPart _feedForwardNorm;
    private readonly LinearSite _query;
    private readonly LinearSite _key;
    private readonly LinearSite _value;
    private readonly LinearSite _output;
    private readonly LinearSite _gate;
    private readonly LinearSite _up;
    private readonly LinearSite _down;

    /// <summary>Makes the block's parameters.</summary>
    public LlamaBlock(int layer, LlamaConfig config, RotaryTable rotary, Func<string, long[], ParameterSlot> newSlot)
    {
        (_layer, _config, _rotary) = (layer, config, rotary);
        var (shape, prefix) = (config.Shape, $"model.layers.{layer}.");
        var parameters = new List<ParameterSlot>();
        ParameterSlot Add(string name, params long[] sizes)
        {
            parameters.Add(newSlot(prefix + name, sizes));
            return parameters[^1];
        }

        LinearSite NewSite(string name, int outputs, int inputs, bool hasBias) => new(
            prefix + name,
            Add(name + ".weight", outputs, inputs),
            hasBias ? Add(name + ".bias", outputs) : null);

        var (queries, keys) = (shape.Heads * config.HeadSize, shape.KeyValueHeads * config.HeadSize);
        _attentionNorm = new NormPart(Add("input_layernorm.weight", shape.HiddenSize), config.NormEpsilon);
        _query = NewSite("self_attn.q_proj", queries, shape.HiddenSize, config.AttentionBias);
        _key = NewSite("self_attn.k_proj", keys, shape.HiddenSize, config.AttentionBias);
        _value = NewSite("self_attn.v_proj", keys, shape.HiddenSize, config.AttentionBias);
        _output = NewSite("self_attn.o_proj", shape.HiddenSize, queries, config.AttentionBias);
        _feedForwardNorm = new NormPart(Add("post_attention_layernorm.weight", shape.HiddenSize), config.NormEpsilon);
        _gate = NewSite("mlp.gate_proj", shape.FeedForwardSize, shape.HiddenSize, config.FeedForwardBias);
        _up = NewSite("mlp.up_proj", shape.FeedForwardSize, shape.HiddenSize, config.FeedForwardBias);
        _down = NewSite("mlp.down_proj", shape.HiddenSize, shape.FeedForwardSize, config.FeedForwardBias);
        Parameters = parameters;
        Linears = [_query, _key, _value, _output, _gate, _up, _down];
    }

    /// <inheritdoc/>
    public IReadOnlyList<ParameterSlot> Parameters { get; }

    /// <inheritdoc/>
    public IReadOnlyList<ILinearSite> Linears { get; }

    /// <inheritdoc/>
    public Tensor Forward(Tensor hidden, SequenceLayout layout)
    {
        using var scope = NewDisposeScope();
        var (cos, sin) = _rotary.First(hidden.shape[1]);
        var (query, key, value) = Project(hidden, cos, sin, layout);
        return Finish(hidden, CausalAttention.Of(query, key, value), layout).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor Forward(Tensor hidden, IKeyValueCache cache, CacheStep step)
    {
        var (own, place) = ((KeyValueCache)cache, (KeyValueStep)step);
        using var scope = NewDisposeScope();
        var (query, key, value) = Project(hidden, place.Cos, place.Sin, null);
        own.Write(_layer, key, value, place);
        var attended = place.IsFresh ? CausalAttention.Of(query, key, value) : AttendCached(query, own, place);
        return Finish(hidden, attended, null).MoveToOuterDisposeScope();
    }

    private (Tensor Query, Tensor Key, Tensor Value) Project(Tensor hidden, Tensor cos, Tensor sin, SequenceLayout? layout)
    {
        var (rows, tokens) = (hidden.shape[0], hidden.shape[1]);
        var normed = _attentionNorm.Forward(hidden);
        var query = _query.Forward(normed, layout).view(rows, tokens, -1, _config.HeadSize);
        var key = _key.Forward(normed, layout).view(rows, tokens, -1, _config.HeadSize);
        var value = _value.Forward(normed, layout).view(rows, tokens, -1, _config.HeadSize);
        return (RotaryEmbedding.Of(query, cos, sin), RotaryEmbedding.Of(key, cos, sin), value);
    }

    /// <summary>
    /// The G queries of a key-value head stand behind each other like tokens, so that keys and values are read where they
    /// lie and never repeated.
    /// </summary>
    private Tensor AttendCached(Tensor query, KeyValueCache cache, KeyValueStep step)
    {
        var (keyHeads, groups) = (_config.Shape.KeyValueHeads, _config.Shape.Heads / _config.Shape.KeyValueHeads);
        var (rows, tokens) = (query.shape[0], query.shape[1]);
        var stacked = query.view(rows, tokens, keyHeads, groups, _config.HeadSize)
            .permute(0, 2, 3, 1, 4)
            .reshape(rows, keyHeads, groups * tokens, _config.HeadSize);
        var (key, value) = cache.Read(_layer, step);
        var attended = nn.functional.scaled_dot_product_attention(stacked, key, value, step.MaskFor(groups)!);
        return attended.view(rows, keyHeads, groups, tokens, _config.HeadSize)
            .permute(0, 3, 1, 2, 4)
            .reshape(rows, tokens, -1);
    }

    private Tensor Finish(Tensor hidden, Tensor attended, SequenceLayout? layout)
    {
        var middle = hidden + _output.Forward(attended.flatten(2), layout);
        var normed = _feedForwardNorm.Forward(middle);
        var gated = GatedUnit.Of(_gate.Forward(normed, layout), _up.Forward(normed, layout));
        return middle + _down.Forward(gated, layout);
    }
}
