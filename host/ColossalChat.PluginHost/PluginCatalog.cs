using System.Runtime.CompilerServices;

namespace ColossalChat.PluginHost;

/// <summary>
/// The plugins of a node and what they offer. Disposing unloads all of them: whoever still holds an object of a plugin
/// keeps that plugin in memory, so objects go first.
/// </summary>
public sealed class PluginCatalog : IDisposable
{
    private readonly List<LoadedPlugin> _loaded = [];
    private readonly List<PluginRefusal> _refusals = [];
    private readonly Dictionary<(Type Seam, string Name), PluginFactory> _factories = [];

    private PluginCatalog(IReadOnlyList<string> folders, IReadOnlyDictionary<string, string> pins) => (Folders, Pins) = (folders, pins);

    /// <summary>Folders that were searched.</summary>
    public IReadOnlyList<string> Folders { get; }

    /// <summary>SHA-256 of main dlls by plugin name.</summary>
    public IReadOnlyDictionary<string, string> Pins { get; }

    /// <summary>Everything on offer, by kind and name.</summary>
    public IReadOnlyList<PluginFactory> Factories =>
        [.. _factories.Values.OrderBy(factory => factory.Kind, StringComparer.Ordinal).ThenBy(factory => factory.Name, StringComparer.Ordinal)];

    /// <summary>Plugins in the order they were loaded.</summary>
    public IReadOnlyList<PluginInfo> Plugins => [.. _loaded.Select(plugin => plugin.Info)];

    /// <summary>What was refused and why.</summary>
    public IReadOnlyList<PluginRefusal> Refusals => [.. _refusals];

    /// <summary>
    /// Loads every sub-folder of the given folders (a given folder that is itself a plugin counts as one) in a context of
    /// its own. A refused plugin is reported and left out; of two with the same name the first one stays.
    /// </summary>
    /// <param name="folders">Searched in order; sub-folders in ordinal order.</param>
    /// <param name="pins">SHA-256 that the main dll must have, by plugin name; others need none.</param>
    /// <param name="report">Takes one line for each plugin loaded or refused.</param>
    public static PluginCatalog Load(IReadOnlyList<string> folders, IReadOnlyDictionary<string, string> pins, Action<string> report)
    {
        var catalog = new PluginCatalog(folders, pins);
        foreach (var folder in folders)
        {
            if (!Directory.Exists(folder))
            {
                catalog.Refuse(folder, RefusalReason.FolderAbsent, "this plugin folder does not exist. Create it, or correct plugins.folder.", report);
                continue;
            }

            foreach (var candidate in PluginFolder.In(folder))
                catalog.Add(candidate, report);
        }

        catalog.RefuseAbsentPins(report);
        return catalog;
    }

    /// <summary>Names of what <see cref="Load"/> would try to load; no code of it runs.</summary>
    public static IReadOnlySet<string> NamesIn(IEnumerable<string> folders) =>
        folders.Where(Directory.Exists).SelectMany(PluginFolder.In).Select(candidate => candidate.Name).ToHashSet(StringComparer.Ordinal);

    /// <summary>The factory of that name for a seam, or null.</summary>
    public PluginFactory? Find(Type seam, string name) => _factories.GetValueOrDefault((seam, name));

    /// <summary>Names registered for a seam, sorted.</summary>
    public IReadOnlyList<string> NamesOf(Type seam) =>
        [.. _factories.Keys.Where(key => key.Seam == seam).Select(key => key.Name).Order(StringComparer.Ordinal)];

    /// <summary>Unloads every plugin. Afterwards the catalog is empty.</summary>
    public void Dispose()
    {
        // The dictionaries hold types and delegates of the plugins: emptied, so that a kept catalog pins nothing.
        _factories.Clear();
        foreach (var plugin in _loaded)
            plugin.Dispose();
        _loaded.Clear();
    }

    // Kept out of the caller's frame: a long-running method would keep the plugin's objects alive.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Add(PluginFolder folder, Action<string> report)
    {
        LoadedPlugin? plugin = null;
        try
        {
            RefuseSecond(folder);
            plugin = LoadedPlugin.Load(folder, folder.Inspect(Pins.GetValueOrDefault(folder.Name)));
            RefuseTakenNames(plugin);
        }
        catch (PluginRefusedException refusal)
        {
            plugin?.Dispose();
            Refuse(folder.Folder, refusal.Reason, refusal.Message, report);
            return;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            plugin?.Dispose();
            Refuse(folder.Folder, RefusalReason.CannotLoad, failure.Message, report);
            return;
        }

        _loaded.Add(plugin);
        foreach (var factory in plugin.Factories)
            _factories.Add((factory.Seam, factory.Name), factory);
        var info = plugin.Info;
        report($"plugin loaded: {info.Name} {info.Version} sha256 {info.Sha256[..12]} with {plugin.Factories.Count} factories from {info.Folder}");
    }

    private void RefuseSecond(PluginFolder folder)
    {
        if (_loaded.FirstOrDefault(plugin => plugin.Info.Name == folder.Name) is { } first)
            throw new PluginRefusedException(
                RefusalReason.DuplicatePlugin,
                $"{folder.Name} is already loaded from {first.Info.Folder}. Remove one of the two folders.");
    }

    private void RefuseTakenNames(LoadedPlugin plugin)
    {
        foreach (var factory in plugin.Factories)
        {
            if (Find(factory.Seam, factory.Name) is { } first)
                throw new PluginRefusedException(
                    RefusalReason.DuplicateFactory,
                    $"the {factory.Kind} '{factory.Name}' is already registered by {first.Plugin.Name} ({first.Plugin.Folder}). " +
                    "Remove one of the two plugins, or have its author rename the factory.");
        }
    }

    private void RefuseAbsentPins(Action<string> report)
    {
        var present = _loaded.Select(plugin => plugin.Info.Name)
            .Concat(_refusals.Select(refusal => Path.GetFileName(refusal.Folder)))
            .ToHashSet(StringComparer.Ordinal);
        foreach (var pinned in Pins.Keys.Where(name => !present.Contains(name)).Order(StringComparer.Ordinal))
            Refuse(
                pinned,
                RefusalReason.PinnedAbsent,
                $"plugins.pins names {pinned}, but no plugin folder holds it. {NearestName.Advice(pinned, present, "plugins found")}",
                report);
    }

    private void Refuse(string folder, string reason, string message, Action<string> report)
    {
        var refusal = new PluginRefusal(folder, reason, message);
        _refusals.Add(refusal);
        report(refusal.ToString());
    }
}
