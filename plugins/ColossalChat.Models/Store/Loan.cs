using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Models.Store;

/// <summary>A model on loan.</summary>
/// <param name="name">Name in the store.</param>
/// <param name="model">What is lent.</param>
/// <param name="withAdapter">False lends the base alone.</param>
/// <param name="giveBack">Called once.</param>
internal sealed class Loan(string name, LoadedModel model, bool withAdapter, Action giveBack) : IBorrowedModel
{
    private Action? _giveBack = giveBack;

    /// <inheritdoc/>
    public string Name { get; } = name;

    /// <inheritdoc/>
    public string DeviceName => model.DeviceName;

    /// <inheritdoc/>
    public ICausalModel Body => model.Body;

    /// <inheritdoc/>
    public IOutputHead? ValueHead => model.ValueHead;

    /// <inheritdoc/>
    public IAttachedAdapter? Adapter => withAdapter ? model.Adapter : null;

    /// <inheritdoc/>
    public TextModel Text => model.Text;

    /// <inheritdoc/>
    public ITextGenerator Generator => model.Generator;

    /// <inheritdoc/>
    public ILanguageModel LanguageModel => model.LanguageModel;

    /// <inheritdoc/>
    public IDisposable Activate() => new AdapterState(model.Adapter, withAdapter);

    /// <inheritdoc/>
    public bool SharesWeightsWith(string trained) => trained == Name && !IsCopy;

    /// <summary>Nobody trains these weights.</summary>
    public bool IsCopy { get; init; }

    /// <inheritdoc/>
    public void Export(string folder, Func<ParameterSlot, IDisposable>? read = null) => model.Export(folder, withAdapter, read);

    /// <inheritdoc/>
    public IReadOnlyList<ParameterSlot> ExportedParameters => model.ExportedParameters;

    /// <inheritdoc/>
    public void Dispose() => Interlocked.Exchange(ref _giveBack, null)?.Invoke();
}
