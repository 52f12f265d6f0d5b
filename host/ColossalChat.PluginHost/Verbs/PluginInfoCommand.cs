using ColossalChat.Contracts;

namespace ColossalChat.PluginHost.Verbs;

/// <summary>Settings of <see cref="PluginInfoCommand"/>.</summary>
public sealed record PluginInfoOptions
{
    /// <summary>A plugin, or something that a plugin offers.</summary>
    [CliArgument(0)]
    [CliHelp("a plugin (ColossalChat.Rlhf) or what one offers (ppo-clip)")]
    public required string Name { get; init; }
}

/// <summary>Shows a plugin's factories with their options: key, type, default, meaning.</summary>
/// <param name="catalog">The host's plugins.</param>
public sealed class PluginInfoCommand(PluginCatalog catalog) : CliCommand<PluginInfoOptions>
{
    /// <inheritdoc/>
    public override string Path => "plugin info";

    /// <inheritdoc/>
    public override string Summary => "show a plugin, or one thing it offers, with all options";

    /// <inheritdoc/>
    protected override async Task<ExitCode> RunAsync(PluginInfoOptions options, CliContext context, CancellationToken cancel)
    {
        var factories = catalog.Factories.Where(factory => factory.Name == options.Name || factory.Plugin.Name == options.Name).ToArray();
        var plugins = catalog.Plugins.Where(plugin => plugin.Name == options.Name || factories.Any(factory => factory.Plugin == plugin)).ToArray();
        if (plugins.Length == 0)
            throw new UserErrorException(NotFound(options.Name), ExitCode.NotFound);
        foreach (var plugin in plugins)
        {
            await context.Out.WriteLineAsync($"{plugin.Name} {plugin.Version}");
            await context.Out.WriteLineAsync($"  assembly  {plugin.AssemblyPath}");
            await context.Out.WriteLineAsync($"  sha256    {plugin.Sha256}");
            foreach (var factory in factories.Where(factory => factory.Plugin == plugin))
                await WriteAsync(factory, context.Out);
        }

        return ExitCode.Ok;
    }

    private static async Task WriteAsync(PluginFactory factory, TextWriter output)
    {
        await output.WriteLineAsync();
        await output.WriteLineAsync($"{factory.Kind} {factory.Name}{(factory.IsShared ? " (one for the node)" : "")}");
        foreach (var option in OptionsBinder.Describe(factory.OptionsType))
        {
            await output.WriteLineAsync($"  {option.Key} = {option.Default}");
            await output.WriteLineAsync($"      {option.Type}");
            if (option.Summary.Length > 0)
                await output.WriteLineAsync($"      {option.Summary}");
        }
    }

    private string NotFound(string name)
    {
        string[] known = [.. catalog.Plugins.Select(plugin => plugin.Name), .. catalog.Factories.Select(factory => factory.Name).Distinct()];
        var refused = catalog.Refusals.FirstOrDefault(refusal => System.IO.Path.GetFileName(refusal.Folder) == name);
        return refused is not null
            ? $"'{name}' was refused ({refused.Reason}): {refused.Message}"
            : $"No plugin and nothing they offer is called '{name}'. {NearestName.Advice(name, known, "names")}";
    }
}
