using static TorchSharp.torch;

namespace ColossalChat.Contracts.Torch;

// B = sequences, T = tokens of the longest sequence, H = hidden size, V = vocabulary, N = chosen positions.

/// <summary>
/// A decoder as a stack of blocks. An engine drives it part by part: embed, each block, then a head on the positions it
/// needs. Parts expose their parameters as rebindable slots, so chunks, shards and adapters attach without editing a family.
/// </summary>
public interface ICausalModel : IDisposable
{
    /// <summary>Sizes.</summary>
    ModelShape Shape { get; }

    /// <summary>Where it computes.</summary>
    Device Device { get; }

    /// <summary>Element type of its weights and activations.</summary>
    ScalarType Precision { get; }

    /// <summary>The token embedding.</summary>
    IModelPart Embedding { get; }

    /// <summary>The blocks in order.</summary>
    IReadOnlyList<IModelBlock> Blocks { get; }

    /// <summary>Final norm and language head.</summary>
    IOutputHead LanguageHead { get; }

    /// <summary>The final norm alone, as the body of another head. Part of <see cref="LanguageHead"/>'s parameters too.</summary>
    IModelPart FinalNorm { get; }

    /// <summary>Embeds tokens.</summary>
    /// <param name="tokenIds">[B, T] int64; pads may be any valid id.</param>
    /// <returns>[B, T, H].</returns>
    Tensor Embed(Tensor tokenIds);

    /// <summary>Applies the final norm.</summary>
    /// <param name="hidden">[.., H].</param>
    /// <returns>[.., H].</returns>
    Tensor Normalise(Tensor hidden);

    /// <summary>A new empty cache for generation.</summary>
    /// <param name="rows">Most sequences; memory is taken as they come.</param>
    /// <param name="tokens">Most tokens of each; memory is taken as they come.</param>
    IKeyValueCache NewCache(int rows, int tokens);
}

/// <summary>Sizes of a decoder.</summary>
/// <param name="Family">Such as <c>llama</c>.</param>
/// <param name="VocabularySize">V.</param>
/// <param name="HiddenSize">H.</param>
/// <param name="Layers">Number of blocks.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">Key-value heads; divides <paramref name="Heads"/>.</param>
/// <param name="FeedForwardSize">Width inside the feed-forward layer.</param>
/// <param name="ContextLength">Most tokens of a sequence.</param>
public sealed record ModelShape(
    string Family,
    int VocabularySize,
    int HiddenSize,
    int Layers,
    int Heads,
    int KeyValueHeads,
    int FeedForwardSize,
    int ContextLength);

/// <summary>Something with parameters.</summary>
public interface IModelPart
{
    /// <summary>Its parameters, in a fixed order. A tied parameter is the same slot object in both parts.</summary>
    IReadOnlyList<ParameterSlot> Parameters { get; }

    /// <summary>Its linear layers.</summary>
    IReadOnlyList<ILinearSite> Linears { get; }
}

/// <summary>One decoder block.</summary>
public interface IModelBlock : IModelPart
{
    /// <summary>Whole sequences at once; each position sees itself and those before it in its row.</summary>
    /// <param name="hidden">[B, T, H], right-padded.</param>
    /// <param name="layout">Row lengths and what follows from them.</param>
    /// <returns>[B, T, H]; pad positions hold anything finite and influence no other position.</returns>
    Tensor Forward(Tensor hidden, SequenceLayout layout);

    /// <summary>New tokens after those already in the cache. Inference only.</summary>
    /// <param name="hidden">[B, T, H], right-padded new tokens.</param>
    /// <param name="cache">Keys and values of this block are read and appended.</param>
    /// <param name="step">Where the new tokens go; the caller advances the cache after the last block.</param>
    /// <returns>[B, T, H].</returns>
    Tensor Forward(Tensor hidden, IKeyValueCache cache, CacheStep step);
}

/// <summary>Maps hidden states to what an objective reads.</summary>
public interface IOutputHead : IModelPart
{
    /// <summary>Applies the final norm and the head.</summary>
    /// <param name="hidden">[N, H] states after the last block, at chosen positions.</param>
    /// <returns>Language head: [N, V] logits. Value head: [N] float32.</returns>
    Tensor Forward(Tensor hidden);
}

/// <summary>A model that judges: a body and a head with one output.</summary>
public interface IValueModel : IDisposable
{
    /// <summary>The decoder.</summary>
    ICausalModel Body { get; }

    /// <summary>Final norm and the layer with one output.</summary>
    IOutputHead ValueHead { get; }
}

/// <summary>
/// A named place for a parameter. Whoever manages memory (an engine, a shard, an adapter) may rebind
/// <see cref="Value"/> to another tensor of the same shape; the part reads it anew at each use.
/// </summary>
/// <param name="name">Name in a Hugging Face folder.</param>
/// <param name="value">First tensor; the slot owns it.</param>
public sealed class ParameterSlot(string name, Tensor value)
{
    private Tensor _value = value;

    /// <summary>Name in a Hugging Face folder, unique in the model.</summary>
    public string Name { get; } = name;

    /// <summary>Sizes; fixed.</summary>
    public IReadOnlyList<long> Shape { get; } = value.shape;

    /// <summary>The current tensor. Setting it disposes nothing: the setter decides about the old one.</summary>
    /// <exception cref="ArgumentException">The new tensor has another shape.</exception>
    public Tensor Value
    {
        get => _value;
        set => _value = value.shape.AsSpan().SequenceEqual(Shape.ToArray())
            ? value
            : throw new ArgumentException($"{Name} has shape [{string.Join(", ", Shape)}]; the new tensor has [{string.Join(", ", value.shape)}].");
    }
}

/// <summary>A linear layer that adapters and quantised weights can attach to.</summary>
public interface ILinearSite
{
    /// <summary>Name in a Hugging Face folder without <c>.weight</c>, such as <c>model.layers.0.self_attn.q_proj</c>.</summary>
    string Name { get; }

    /// <summary>[out, in].</summary>
    ParameterSlot Weight { get; }

    /// <summary>[out], or null.</summary>
    ParameterSlot? Bias { get; }

    /// <summary>Replaces the plain product by another kernel, for quantised weights; null for none.</summary>
    ILinearKernel? Kernel { get; set; }

    /// <summary>Adds to the layer's output; null for none.</summary>
    ILinearAdapter? Adapter { get; set; }
}

/// <summary>Another way to compute a linear layer.</summary>
public interface ILinearKernel
{
    /// <summary>[.., in] to [.., out].</summary>
    Tensor Forward(Tensor input);
}

/// <summary>A trainable addition to a linear layer.</summary>
public interface ILinearAdapter
{
    /// <summary>The layer's output with the adapter's part added.</summary>
    /// <param name="input">[.., in].</param>
    /// <param name="output">[.., out] of the layer itself.</param>
    Tensor Forward(Tensor input, Tensor output);

    /// <summary>
    /// The same where whole sequences run, for an adapter that must know which row and position each input is (dropout).
    /// A block calls this one; a head, which reads chosen positions, the other.
    /// </summary>
    /// <param name="input">[B, T, in].</param>
    /// <param name="output">[B, T, out] of the layer itself.</param>
    /// <param name="layout">The B rows.</param>
    Tensor Forward(Tensor input, Tensor output, SequenceLayout layout) => Forward(input, output);
}
