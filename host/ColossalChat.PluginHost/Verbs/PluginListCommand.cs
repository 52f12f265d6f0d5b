using System.Text.Json;
using System.Text.Json.Nodes;
using ColossalChat.Contracts;

namespace ColossalChat.PluginHost.Verbs;

/// <summary>Settings of <see cref="PluginListCommand"/>.</summary>
public sealed record PluginListOptions
{
    /// <summary>One JSON array instead of a table.</summary>
    [CliHelp("print one JSON array")]
    public bool Json { get; init; }
}

/// <summary>Lists what the loaded plugins offer.</summary>
/// <param name="catalog">The host's plugins.</param>
public sealed class PluginListCommand(PluginCatalog catalog) : CliCommand<PluginListOptions>
{
    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true };

    /// <inheritdoc/>
    public override string Path => "plugin list";

    /// <inheritdoc/>
    public override string Summary => "list what the plugins offer, by kind";

    /// <inheritdoc/>
    protected override async Task<ExitCode> RunAsync(PluginListOptions options, CliContext context, CancellationToken cancel)
    {
        if (options.Json)
            await context.Out.WriteLineAsync(AsJson());
        else
            await WriteTableAsync(context);
        return ExitCode.Ok;
    }

    private string AsJson()
    {
        var entries = new JsonArray();
        foreach (var factory in catalog.Factories)
            entries.Add((JsonNode)new JsonObject
            {
                ["name"] = factory.Name,
                ["kind"] = factory.Kind,
                ["version"] = factory.Plugin.Version,
                ["assembly"] = factory.Plugin.AssemblyPath,
                ["sha256"] = factory.Plugin.Sha256,
            });
        return entries.ToJsonString(s_indented);
    }

    private async Task WriteTableAsync(CliContext context)
    {
        var rows = catalog.Factories.Select(factory => (factory.Kind, factory.Name, factory.Plugin.Version, Plugin: factory.Plugin.Name)).ToArray();
        var kindWidth = rows.Select(row => row.Kind.Length).Append(4).Max();
        var nameWidth = rows.Select(row => row.Name.Length).Append(4).Max();
        await context.Out.WriteLineAsync($"{"KIND".PadRight(kindWidth)}  {"NAME".PadRight(nameWidth)}  {"VERSION",-9}  PLUGIN");
        foreach (var (kind, name, version, plugin) in rows)
            await context.Out.WriteLineAsync($"{kind.PadRight(kindWidth)}  {name.PadRight(nameWidth)}  {version,-9}  {plugin}");
        foreach (var refusal in catalog.Refusals)
            await context.Error.WriteLineAsync(refusal.ToString());
    }
}
