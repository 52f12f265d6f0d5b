using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;

namespace ColossalChat.Host.Commands;

/// <summary>Options of <c>config validate</c>.</summary>
internal record ConfigOptions
{
    [CliArgument(0)]
    [CliHelp("Configuration file (HOCON).")]
    public required string File { get; init; }

    [CliArgument(1)]
    [CliHelp("Settings key=value over the file.")]
    public IReadOnlyList<string> Settings { get; init; } = [];
}

/// <summary>Checks a configuration and prints all problems.</summary>
internal sealed class ConfigValidateCommand(HostServices host) : CliCommand<ConfigOptions>
{
    public override string Path => "config validate";

    public override string Summary => "Check every key, type and range of a configuration; prints all problems with file and line.";

    protected override async Task<ExitCode> RunAsync(ConfigOptions options, CliContext context, CancellationToken cancel)
    {
        var config = ConfigLoader.LoadFile(options.File, options.Settings);
        using var plugins = host.CatalogFor(RunBinder.PluginsOf(config));
        var (bound, problems) = RunBinder.TryBind(config, plugins.Catalog);
        foreach (var problem in problems)
            await context.Out.WriteLineAsync(problem.ToString()).ConfigureAwait(false);
        foreach (var remark in bound?.Remarks ?? [])
            await context.Error.WriteLineAsync(remark).ConfigureAwait(false);
        if (problems.Count == 0)
            await context.Out.WriteLineAsync($"{options.File} is valid: stage {bound!.Settings.Stage.Name}.").ConfigureAwait(false);
        return problems.Count == 0 ? ExitCode.Ok : ExitCode.Invalid;
    }
}

/// <summary>Options of <c>config print</c>.</summary>
internal sealed record ConfigPrintOptions : ConfigOptions
{
    [CliHelp("Say where each value came from: file and line, environment, command line, stage or default.")]
    public bool Origins { get; init; }
}

/// <summary>Prints the effective configuration.</summary>
internal sealed class ConfigPrintCommand(HostServices host) : CliCommand<ConfigPrintOptions>
{
    public override string Path => "config print";

    public override string Summary => "Print the effective configuration with every default as HOCON.";

    protected override async Task<ExitCode> RunAsync(ConfigPrintOptions options, CliContext context, CancellationToken cancel)
    {
        var config = ConfigLoader.LoadFile(options.File, options.Settings);
        using var plugins = host.CatalogFor(RunBinder.PluginsOf(config));
        await context.Out.WriteAsync(RunBinder.Bind(config, plugins.Catalog).EffectiveText(options.Origins)).ConfigureAwait(false);
        return ExitCode.Ok;
    }
}
