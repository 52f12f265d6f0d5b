
namespace ColossalChat.Contracts.Torch;

/// <summary>
/// Owns every model loaded on a node, under the names of the configuration's <c>models</c> section, with reference
/// counts. Roles borrow; nobody loads a second copy. Shared: <c>Resolve&lt;IModelStore&gt;("models")</c>.
/// </summary>
public interface IModelStore
{
    /// <summary>Names that can be borrowed.</summary>
    IReadOnlyList<string> Names { get; }

    /// <summary>Those of them that somebody holds now, under the names they were borrowed by; sorted, each once.</summary>
    IReadOnlyList<string> Borrowed { get; }

    /// <summary>Borrows a model, loading it at first use. Disposing the result gives it back.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <returns>A loan; the weights stay loaded until the last one is back.</returns>
    /// <exception cref="UserErrorException">The name is not configured (the message lists those that are), or its folder cannot be read.</exception>
    IBorrowedModel Borrow(string name);

    /// <summary>
    /// Borrows a copy with weights of its own, which begin as the model's folder has them. All who borrow a name's copy
    /// share it. Its <see cref="IBorrowedModel.SharesWeightsWith"/> is false for every name.
    /// </summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <exception cref="UserErrorException">As of <see cref="Borrow"/>.</exception>
    /// <exception cref="NotSupportedException">This store makes no copies.</exception>
    IBorrowedModel BorrowCopy(string name) => throw new NotSupportedException($"This model store makes no copy of {name}.");
}

/// <summary>
/// A model on loan. Several loans may share weights: with <c>reference { same-as = policy }</c> the reference is the
/// policy with its adapter off.
/// </summary>
public interface IBorrowedModel : IDisposable
{
    /// <summary>Name in the store.</summary>
    string Name { get; }

    /// <summary>Device name for <see cref="IDeviceLeases"/>.</summary>
    string DeviceName { get; }

    /// <summary>The decoder.</summary>
    ICausalModel Body { get; }

    /// <summary>The value head; null on a language model.</summary>
    IOutputHead? ValueHead { get; }

    /// <summary>The adapter attached to it, or null.</summary>
    IAttachedAdapter? Adapter { get; }

    /// <summary>Tokenizer and chat template of its folder.</summary>
    TextModel Text { get; }

    /// <summary>Writes text with it. Call within <see cref="Activate"/>.</summary>
    ITextGenerator Generator { get; }

    /// <summary>Judges text with it. Call within <see cref="Activate"/>.</summary>
    ILanguageModel LanguageModel { get; }

    /// <summary>
    /// Puts the weights into the state this loan means (adapter on or off) until the result is disposed. Hold the
    /// device's lease around it.
    /// </summary>
    IDisposable Activate();

    /// <summary>True when this loan's weights are the very tensors that are trained under <paramref name="trained"/>.</summary>
    bool SharesWeightsWith(string trained);

    /// <summary>
    /// Writes a Hugging Face folder: config, weights, tokenizer files, template; an adapter in PEFT's layout beside them.
    /// Complete or not at all.
    /// </summary>
    /// <param name="folder">A model folder of that name is replaced.</param>
    /// <param name="read">Makes a parameter readable while it is written; null where all are.</param>
    void Export(string folder, Func<ParameterSlot, IDisposable>? read = null);

    /// <summary>What <see cref="Export"/> reads, in this order, each once.</summary>
    IReadOnlyList<ParameterSlot> ExportedParameters { get; }
}
