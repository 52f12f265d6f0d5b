using System.Runtime.CompilerServices;
using ColossalChat.Contracts;

namespace ColossalChat.PluginHost;

/// <summary>
/// The plugins of a node and what they offer. Disposing unloads all of them: whoever still holds an object of a plugin
/// keeps that plugin in memory, so objects go first.
/// </summary>
public sealed class PluginCatalog : IDisposable
{
    private readonly HashSet<LoadedPlugin> _owned = [];
    private readonly List<PluginRefusal> _refusals = [];

    // Replaced and never changed: roles look things up while another thread exchanges a plugin.
    private volatile Offers _offers = new([], new Dictionary<(Type Seam, string Name), PluginFactory>());

    private PluginCatalog(IReadOnlyList<string> folders, IReadOnlyDictionary<string, string> pins) => (Folders, Pins) = (folders, pins);

    /// <summary>Folders that were searched.</summary>
    public IReadOnlyList<string> Folders { get; }

    /// <summary>SHA-256 of main dlls by plugin name.</summary>
    public IReadOnlyDictionary<string, string> Pins { get; }

    /// <summary>Everything on offer, by kind and name.</summary>
    public IReadOnlyList<PluginFactory> Factories =>
        [.. _offers.Factories.Values.OrderBy(factory => factory.Kind, StringComparer.Ordinal).ThenBy(factory => factory.Name, StringComparer.Ordinal)];

    /// <summary>Plugins in the order they were loaded.</summary>
    public IReadOnlyList<PluginInfo> Plugins => [.. _offers.Loaded.Select(plugin => plugin.Info)];

    /// <summary>What was refused and why.</summary>
    public IReadOnlyList<PluginRefusal> Refusals => [.. _refusals];

    /// <summary>
    /// Loads every sub-folder of the given folders (a given folder that is itself a plugin counts as one) in a context of
    /// its own. A refused plugin is reported and left out; of two with the same name the first one stays.
    /// </summary>
    /// <param name="folders">Searched in order; sub-folders in ordinal order.</param>
    /// <param name="pins">SHA-256 that the main dll must have, by plugin name; others need none.</param>
    /// <param name="report">Takes one line for each plugin loaded or refused.</param>
    /// <param name="elsewhere">
    /// Gives the folder of that name that a plugin's files are loaded from in place of the one that was found; null for the
    /// same.
    /// </param>
    public static PluginCatalog Load(
        IReadOnlyList<string> folders, IReadOnlyDictionary<string, string> pins, Action<string> report, Func<string, string, string>? elsewhere = null)
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
                catalog.Add(elsewhere is null ? candidate : Moved(candidate, elsewhere), report);
        }

        catalog.RefuseAbsentPins(report);
        return catalog;
    }

    /// <summary>Names of what <see cref="Load"/> would try to load; no code of it runs.</summary>
    public static IReadOnlySet<string> NamesIn(IEnumerable<string> folders) =>
        folders.Where(Directory.Exists).SelectMany(PluginFolder.In).Select(candidate => candidate.Name).ToHashSet(StringComparer.Ordinal);

    private static PluginFolder Moved(PluginFolder found, Func<string, string, string> elsewhere) =>
        new(elsewhere(found.Name, found.Folder)) { Source = found.Folder };

    /// <summary>The factory of that name for a seam, or null.</summary>
    public PluginFactory? Find(Type seam, string name) => _offers.Factories.GetValueOrDefault((seam, name));

    /// <summary>A catalog with the same plugins, of which others may be exchanged; disposing it unloads those only.</summary>
    public PluginCatalog Fork()
    {
        var fork = new PluginCatalog(Folders, Pins) { _offers = _offers };
        fork._refusals.AddRange(_refusals);
        return fork;
    }

    /// <summary>A catalog as this one would be after <see cref="Replace"/>.</summary>
    /// <exception cref="UserErrorException">The candidate takes a name that another plugin has.</exception>
    public PluginCatalog With(PluginCandidate candidate)
    {
        var fork = Fork();
        fork._offers = OffersWith(candidate.Plugin);
        return fork;
    }

    /// <summary>Offers this version from now on; what was made by the other one stays as it is.</summary>
    /// <returns>The version whose place it took, which is no longer offered.</returns>
    /// <exception cref="UserErrorException">It takes a name that another plugin has.</exception>
    public PluginCandidate Replace(PluginCandidate candidate)
    {
        var offers = OffersWith(candidate.Plugin);
        var old = _offers.Loaded.First(plugin => plugin.Info.Name == candidate.Info.Name);
        _offers = offers;
        if (candidate.IsOwned)
            _owned.Add(candidate.Plugin);
        return new PluginCandidate(old, _owned.Remove(old));
    }

    private Offers OffersWith(LoadedPlugin candidate)
    {
        var name = candidate.Info.Name;
        if (_offers.Loaded.All(plugin => plugin.Info.Name != name))
            throw new UserErrorException($"There is no plugin {name} here whose place it could take. {NearestName.Advice(name, [.. Plugins.Select(plugin => plugin.Name)], "plugins")}", ExitCode.NotFound);
        var factories = _offers.Factories.Where(factory => factory.Value.Plugin.Name != name).ToDictionary();
        foreach (var factory in candidate.Factories)
            if (!factories.TryAdd((factory.Seam, factory.Name), factory))
                throw new UserErrorException($"{RefusalReason.DuplicateFactory}: the {factory.Kind} '{factory.Name}' is already registered by {factories[(factory.Seam, factory.Name)].Plugin.Name}; have its author rename it.");
        return new Offers([.. _offers.Loaded.Select(plugin => plugin.Info.Name == name ? candidate : plugin)], factories);
    }

    /// <summary>Names registered for a seam, sorted.</summary>
    public IReadOnlyList<string> NamesOf(Type seam) =>
        [.. _offers.Factories.Keys.Where(key => key.Seam == seam).Select(key => key.Name).Order(StringComparer.Ordinal)];

    /// <summary>Unloads every plugin. Afterwards the catalog is empty.</summary>
    public void Dispose()
    {
        // The dictionaries hold types and delegates of the plugins: emptied, so that a kept catalog pins nothing.
        _offers = new Offers([], new Dictionary<(Type Seam, string Name), PluginFactory>());
        foreach (var plugin in _owned)
            plugin.Dispose();
        _owned.Clear();
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

        _owned.Add(plugin);
        _offers = new Offers(
            [.. _offers.Loaded, plugin],
            _offers.Factories.Concat(plugin.Factories.Select(factory => KeyValuePair.Create((factory.Seam, factory.Name), factory))).ToDictionary());
        var info = plugin.Info;
        report($"plugin loaded: {info.Name} {info.Version} sha256 {info.Sha256[..12]} with {plugin.Factories.Count} factories from {info.Folder}");
    }

    private void RefuseSecond(PluginFolder folder)
    {
        if (_offers.Loaded.FirstOrDefault(plugin => plugin.Info.Name == folder.Name) is { } first)
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
        var present = _offers.Loaded.Select(plugin => plugin.Info.Name)
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

    private sealed record Offers(IReadOnlyList<LoadedPlugin> Loaded, IReadOnlyDictionary<(Type Seam, string Name), PluginFactory> Factories);
}
