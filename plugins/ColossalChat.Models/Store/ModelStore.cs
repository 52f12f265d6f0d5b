using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Folders;

namespace ColossalChat.Models.Store;

/// <summary>The node's models by name. A model is loaded when first borrowed and freed when the last loan comes back.</summary>
internal sealed class ModelStore(ModelStoreOptions options, INodeContext context) : IModelStore, IModelCatalog, IDisposable
{
    // No key of a configuration has it.
    private const string CopyMark = " (copy)";
    private readonly Lock _lock = new();
    private readonly Dictionary<string, LoadedModel> _loaded = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TextModel> _texts = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = [.. options.Models.Keys.Order(StringComparer.Ordinal)];

    /// <inheritdoc/>
    public IReadOnlyList<string> Borrowed
    {
        get
        {
            lock (_lock)
                return [.. _loaded.Values.SelectMany(model => model.Loans).Distinct().Order(StringComparer.Ordinal)];
        }
    }

    /// <inheritdoc/>
    public IBorrowedModel Borrow(string name) => Borrow(name, OwnerOf(name));

    /// <inheritdoc/>
    public IBorrowedModel BorrowCopy(string name) => Borrow(name, OwnerOf(name) + CopyMark);

    private Loan Borrow(string name, string key)
    {
        var (owner, isCopy) = (OwnerOf(name), key.EndsWith(CopyMark, StringComparison.Ordinal));
        lock (_lock)
        {
            if (!_loaded.TryGetValue(key, out var model))
            {
                model = new LoadedModel(options.Models[owner], TextOf(owner), context);
                _loaded.Add(key, model);
            }

            model.Loans.Add(name);
            return new Loan(name, model, withAdapter: owner == name, () => GiveBack(key, name)) { IsCopy = isCopy };
        }
    }

    /// <inheritdoc/>
    public string FolderOf(string name) => options.Models[OwnerOf(name)].Path;

    /// <inheritdoc/>
    public TextModel TextOf(string name)
    {
        var folder = FolderOf(name);
        lock (_lock)
        {
            if (!_texts.TryGetValue(folder, out var text))
                _texts.Add(folder, text = FolderText.Open(context, Checked(folder, OwnerOf(name))));
            return text;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            foreach (var model in _loaded.Values)
                model.Dispose();
            _loaded.Clear();
        }
    }

    private string OwnerOf(string name)
    {
        if (!options.Models.TryGetValue(name, out var source))
            throw new UserErrorException(
                $"There is no model '{name}'; models are: {(Names.Count == 0 ? "none" : string.Join(", ", Names))}. Add models {{ {name} {{ path = ... }} }} to the configuration.");
        return source.SameAs.Length > 0 ? source.SameAs : name;
    }

    // Said here with the key, before a tokenizer or a weight file is missed for the same reason.
    private string Checked(string folder, string owner)
    {
        if (!Directory.Exists(folder))
            throw new UserErrorException(
                $"models.{owner}.path: the model folder '{folder}' of '{owner}' does not exist. Relative paths start from the current folder, {Directory.GetCurrentDirectory()}.",
                ExitCode.NotFound);
        if (!File.Exists(Path.Combine(folder, "config.json")))
            return folder;
        try
        {
            ModelFolder.Read(folder).CheckReadable(context);
            return folder;
        }
        catch (UserErrorException error)
        {
            throw new UserErrorException($"models.{owner}.path: {error.Message}", error.ExitCode, error);
        }
    }

    private void GiveBack(string key, string name)
    {
        lock (_lock)
        {
            if (!_loaded.TryGetValue(key, out var model))
                return;
            model.Loans.Remove(name);
            if (model.Loans.Count > 0)
                return;
            _loaded.Remove(key);
            model.Dispose();
        }
    }
}
