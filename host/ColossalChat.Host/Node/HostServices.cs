using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.PluginHost;
using ColossalChat.Transfer;

namespace ColossalChat.Host.Node;

/// <summary>What all verbs of this process share.</summary>
/// <param name="Catalog">Plugins found at start.</param>
/// <param name="Console">Standard error.</param>
/// <param name="IsVerbose">Whether <c>-v</c> was given.</param>
internal sealed record HostServices(PluginCatalog Catalog, HostConsole Console, bool IsVerbose)
{
    /// <summary>Plugin folder beside the program.</summary>
    public static string ShippedPlugins { get; } = Path.Combine(AppContext.BaseDirectory, "plugins");

    /// <summary>That folder, where it is there.</summary>
    public static IReadOnlyList<string> ShippedFolders => Directory.Exists(ShippedPlugins) ? [ShippedPlugins] : [];

    /// <summary>The words that the program was called with.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>One set of turns for the process: verbs and runs share the devices.</summary>
    public IDeviceLeases Devices { get; } = new DeviceLeases();

    /// <summary>Counts training runs that are going on in this process.</summary>
    public GoingRuns Runs { get; } = new();

    /// <summary>A training run begins; disposing ends it.</summary>
    public IDisposable BeginRun() => Runs.Begin();

    /// <summary>
    /// Plugins for a run. The configuration may add a folder and pins; without them the plugins of this process serve, of
    /// which the run may exchange some for itself.
    /// </summary>
    /// <param name="settings">Section <c>plugins</c>.</param>
    /// <param name="swapped">Folders of plugins that the run exchanged, by plugin; null for none.</param>
    public RunPlugins CatalogFor(PluginSettings settings, IReadOnlyDictionary<string, string>? swapped = null)
    {
        if (settings.Folder.Length == 0 && settings.Pins.Count == 0 && swapped is not { Count: > 0 })
            return new RunPlugins(Catalog.Fork(), Copies: null);
        IReadOnlyList<string> folders = settings.Folder.Length == 0 ? Catalog.Folders : [.. Catalog.Folders, settings.Folder];
        // What is watched is built into: the dll of a running program must not change under it.
        var copies = settings is { Watch: true, Folder.Length: > 0 } ? new PluginCopies(Directory.CreateTempSubdirectory("colossalchat-plugins-").FullName) : null;
        return new RunPlugins(PluginCatalog.Load(folders, settings.Pins, ReportPlugin, Elsewhere), copies);

        string Elsewhere(string plugin, string found)
        {
            if (swapped?.GetValueOrDefault(plugin) is { } folder)
                return folder;
            // A folder without its dll is refused for that, where it is.
            return copies is not null && settings.Watches(found) && File.Exists(Path.Combine(found, plugin + ".dll")) ? copies.Take(plugin, found) : found;
        }
    }

    /// <summary>Shows what was refused; what was loaded only when asked for.</summary>
    public void ReportPlugin(string line) => ReportPlugin(Console, IsVerbose, line);

    /// <summary>Shows what was refused; what was loaded only when asked for.</summary>
    public static void ReportPlugin(HostConsole console, bool isVerbose, string line)
    {
        if (isVerbose || line.StartsWith("plugin refused", StringComparison.Ordinal))
            console.Line(line);
    }
}

/// <summary>Whether a training run is going on: only then does Ctrl+C wait for the end of a step.</summary>
internal sealed class GoingRuns
{
    private int _count;

    /// <summary>True while at least one run is going on.</summary>
    public bool Any => Volatile.Read(ref _count) > 0;

    /// <summary>A run begins; disposing ends it.</summary>
    public IDisposable Begin()
    {
        Interlocked.Increment(ref _count);
        return new Going(this);
    }

    private sealed class Going(GoingRuns runs) : IDisposable
    {
        public void Dispose() => Interlocked.Decrement(ref runs._count);
    }
}

/// <summary>The plugins of one run; those that were loaded for it are unloaded after it.</summary>
/// <param name="Catalog">What it has.</param>
/// <param name="Copies">Copies that its plugins were loaded from, which go with it; null for none.</param>
internal sealed record RunPlugins(PluginCatalog Catalog, PluginCopies? Copies) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose()
    {
        Catalog.Dispose();
        try
        {
            if (Copies is not null)
                Directory.Delete(Copies.Root, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return; // Temporary files that somebody looks at; the system clears them away.
        }
    }
}
