using ColossalChat.Contracts;

namespace ColossalChat.PluginHost.Verbs;

/// <summary>Settings of <see cref="PluginVerifyCommand"/>.</summary>
public sealed record PluginVerifyOptions
{
    /// <summary>A plugin's folder or a folder of plugins; null for those of the host and of <see cref="Config"/>.</summary>
    [CliArgument(0)]
    [CliHelp("a plugin's folder, or a folder of plugins; without it those of the configuration")]
    public string? Folder { get; init; }

    /// <summary>Run configuration whose <c>plugins.pins</c> must all be kept, wherever the pinned plugins are; null for no pins.</summary>
    [CliHelp("a run configuration (.hocon) whose pins the plugins must match")]
    public string? Config { get; init; }
}

/// <summary>Loads plugins as the host would and prints each refusal; exit code 3 when there is any.</summary>
/// <param name="catalog">The host's plugins; a folder is verified together with them, so clashing names show.</param>
/// <param name="pinsOf">Reads what a run configuration pins.</param>
public sealed class PluginVerifyCommand(PluginCatalog catalog, PinReader pinsOf) : CliCommand<PluginVerifyOptions>
{
    /// <inheritdoc/>
    public override string Path => "plugin verify";

    /// <inheritdoc/>
    public override string Summary => "load plugins as the host would and print what is refused";

    /// <inheritdoc/>
    protected override async Task<ExitCode> RunAsync(PluginVerifyOptions options, CliContext context, CancellationToken cancel)
    {
        var folder = options.Folder is null ? null : FullPath(options.Folder);
        if (folder is not null && !Directory.Exists(folder))
            throw new UserErrorException($"Folder '{options.Folder}' does not exist; give a plugin's folder or a folder of plugins.", ExitCode.NotFound);

        if (options.Config is { } config && !(config.EndsWith(".hocon", StringComparison.OrdinalIgnoreCase) && File.Exists(config)))
            throw new UserErrorException($"--config '{config}' is no .hocon file; give the run configuration that holds plugins.pins.", ExitCode.NotFound);

        // All of that file's pins: the host itself knew only those of the plugins that it had to load.
        var pins = options.Config is null ? new PluginPins("", catalog.Pins) : pinsOf(options.Config);
        using var fresh = PluginCatalog.Load(FoldersWith(pins.Folder, folder), pins.Sha256, _ => { });
        var refusals = fresh.Refusals.Where(refusal => IsAboutPins(refusal) || IsMeant(refusal.Folder, folder)).ToArray();
        var loaded = fresh.Plugins.Where(plugin => IsMeant(plugin.Folder, folder)).ToArray();
        foreach (var plugin in loaded)
            await context.Out.WriteLineAsync($"ok       {plugin.Name} {plugin.Version} {plugin.Sha256}");
        foreach (var refusal in refusals)
            await context.Out.WriteLineAsync($"refused  {refusal.Folder} ({refusal.Reason}): {refusal.Message}");
        if (loaded.Length + refusals.Length == 0)
            throw new UserErrorException($"There is no plugin in '{folder}'; a plugin is a folder X that holds X.dll.", ExitCode.NotFound);
        return refusals.Length == 0 ? ExitCode.Ok : ExitCode.Invalid;
    }

    private List<string> FoldersWith(string configured, string? folder)
    {
        var folders = catalog.Folders.ToList();
        // One that is searched already must not be loaded twice, or everything in it would be a duplicate.
        foreach (var more in new[] { configured, folder ?? "" }.Where(more => more.Length > 0))
            if (!folders.Any(known => IsWithin(FullPath(more), FullPath(known))))
                folders.Add(more);
        return folders;
    }

    // A pin is broken wherever its plugin is, and also when it is nowhere.
    private static bool IsAboutPins(PluginRefusal refusal) => refusal.Reason is RefusalReason.PinMismatch or RefusalReason.PinnedAbsent;

    private static bool IsMeant(string place, string? folder) => folder is null || IsWithin(FullPath(place), folder);

    private static bool IsWithin(string place, string folder) =>
        place == folder || place.StartsWith(folder + System.IO.Path.DirectorySeparatorChar, StringComparison.Ordinal);

    private static string FullPath(string path) => System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
}
