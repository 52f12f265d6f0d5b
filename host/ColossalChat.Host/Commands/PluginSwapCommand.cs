using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Runs;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Commands;

/// <summary>Options of <c>plugin swap</c>.</summary>
internal sealed record PluginSwapOptions
{
    [CliArgument(0)]
    [CliHelp("Name of a plugin that the run has, as `plugin list` prints it.")]
    public required string Name { get; init; }

    [CliArgument(1)]
    [CliHelp("Folder that holds another version of it.")]
    public required string Folder { get; init; }

    [CliHelp("Folder of a run that is going on, on this machine or on storage that its machine shares.")]
    public required string Run { get; init; }
}

/// <summary>Asks a run that is going on to exchange one of its plugins, and waits for what became of it.</summary>
internal sealed class PluginSwapCommand : CliCommand<PluginSwapOptions>
{
    public override string Path => "plugin swap";

    public override string Summary => "Exchange a plugin of a run that is going on; it is rolled back when it does not stand its trial.";

    protected override async Task<ExitCode> RunAsync(PluginSwapOptions options, CliContext context, CancellationToken cancel)
    {
        var run = new RunFolder(System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(options.Run)));
        if (!run.Marks.Any(File.Exists))
            throw new UserErrorException($"--run {options.Run} is no folder of a run; `colossalchat run list` shows those that are there.", ExitCode.NotFound);
        var going = new GoingRun(run);
        if (!await going.IsGoingOnAsync(cancel).ConfigureAwait(false))
            throw new UserErrorException($"The run in {run.Path} is not going on. Put the new version into its plugin folder, then start or resume it.", ExitCode.NotFound);
        var folder = PluginCopies.Find(options.Name, options.Folder);
        var request = new ControlRequest(RunControl.Swap, new Dictionary<string, string> { [RunControl.Plugin] = options.Name, [RunControl.Folder] = folder });
        var answer = await going.AskAsync(
            request, () => context.Error.WriteLineAsync($"asked the run in {run.Path}; it answers after the running iteration"), "the plugin was not exchanged", cancel).ConfigureAwait(false);
        await context.Out.WriteLineAsync(answer.Message).ConfigureAwait(false);
        return answer.ExitCode;
    }
}
