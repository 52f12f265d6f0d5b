using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Cache;
using static TorchSharp.torch;

namespace ColossalChat.Models.Llama;

// B = rows, T = tokens, H = hidden size, V = vocabulary.

/// <summary>A LLaMA decoder.</summary>
internal sealed class LlamaModel : ICausalModel
{
    private readonly LlamaConfig _config;
    private readonly RotaryTable _rotary;
    private readonly EmbeddingPart _embedding;
    private readonly NormPart _finalNorm;

    /// <summary>Makes the model; parameters hold no numbers yet, or random ones.</summary>
    public LlamaModel(LlamaConfig config, ScalarType precision, Device device, RandomKey? initialise)
    {
        (_config, Precision, Device) = (config, precision, device);
        var shape = config.Shape;
        _rotary = new RotaryTable(shape.ContextLength, config.HeadSize, config.RotaryBase, precision, device);
        var number = 0;
        ParameterSlot NewSlot(string name, long[] sizes)
        {
            var value = empty(sizes, precision, device).DetachFromDisposeScope();
            if (initialise is { } key)
                FirstWeights.Fill(value, SpreadOf(name), name.EndsWith("norm.weight", StringComparison.Ordinal), key with { Prompt = number });
            number++;
            return new ParameterSlot(name, value);
        }

        _embedding = new EmbeddingPart(NewSlot("model.embed_tokens.weight", [shape.VocabularySize, shape.HiddenSize]));
        Blocks = [.. Enumerable.Range(0, shape.Layers).Select(layer => new LlamaBlock(layer, config, _rotary, NewSlot))];
        _finalNorm = new NormPart(NewSlot("model.norm.weight", [shape.HiddenSize]), config.NormEpsilon);
        var head = config.TiedHead ? _embedding.Weight : NewSlot("lm_head.weight", [shape.VocabularySize, shape.HiddenSize]);
        LanguageHead = new LanguageHead(_finalNorm, new LinearSite("lm_head", head, null));
    }

    /// <inheritdoc/>
    public ModelShape Shape => _config.Shape;

    /// <inheritdoc/>
    public Device Device { get; }

    /// <inheritdoc/>
    public ScalarType Precision { get; }

    /// <inheritdoc/>
    public IModelPart Embedding => _embedding;

    /// <inheritdoc/>
    public IReadOnlyList<IModelBlock> Blocks { get; }

    /// <inheritdoc/>
    public IOutputHead LanguageHead { get; }

    /// <inheritdoc/>
    public IModelPart FinalNorm => _finalNorm;

    /// <inheritdoc/>
    public Tensor Embed(Tensor tokenIds)
    {
        using var scope = NewDisposeScope();
        return _embedding.Weight.Value.index_select(0, tokenIds.reshape(-1))
            .view(tokenIds.shape[0], tokenIds.shape[1], _config.Shape.HiddenSize)
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor Normalise(Tensor hidden)
    {
        using var scope = NewDisposeScope();
        return _finalNorm.Forward(hidden).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public IKeyValueCache NewCache(int rows, int tokens) =>
        new KeyValueCache(rows, tokens, _config.Shape.Layers, _config.Shape.KeyValueHeads, _config.HeadSize, Precision, Device, _rotary);

    /// <inheritdoc/>
    public void Dispose()
    {
        _rotary.Dispose();
        foreach (var slot in this.AllParameters())
            slot.Value.Dispose();
    }

    // Layers that write into the residual stream start smaller, so that its variance does not grow with depth (GPT-2).
    private double SpreadOf(string name) =>
        name.EndsWith("o_proj.weight", StringComparison.Ordinal) || name.EndsWith("down_proj.weight", StringComparison.Ordinal)
            ? _config.InitialiserRange / Math.Sqrt(2.0 * _config.Shape.Layers)
            : name.EndsWith(".bias", StringComparison.Ordinal) ? 0 : _config.InitialiserRange;
}
