using System.Text.Json;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Nodes;

/// <summary>Options of <c>cluster stop</c>.</summary>
internal record ClusterRunOptions
{
    [CliArgument(0)]
    [CliHelp("Configuration of the run, the same as its nodes'.")]
    public required string File { get; init; }

    [CliArgument(1)]
    [CliHelp("Settings key=value over the file.")]
    public IReadOnlyList<string> Settings { get; init; } = [];

    /// <summary>The run's folder.</summary>
    /// <exception cref="UserErrorException">The file does not name it.</exception>
    internal RunFolder Folder() => RunBinder.RunFolderOf(ConfigLoader.LoadFile(File, Settings));
}

/// <summary>Options of <c>cluster status</c>.</summary>
internal sealed record ClusterStatusOptions : ClusterRunOptions
{
    [CliHelp("One JSON document.")]
    public bool Json { get; init; }
}

/// <summary>Options of <c>cluster leave</c>.</summary>
internal sealed record ClusterLeaveOptions
{
    [CliArgument(0)]
    [CliHelp("Configuration of the run, the same as its nodes'.")]
    public required string File { get; init; }

    [CliArgument(1)]
    [CliHelp("Name of the node, as `cluster status` prints it.")]
    public required string Node { get; init; }

    [CliArgument(2)]
    [CliHelp("Settings key=value over the file.")]
    public IReadOnlyList<string> Settings { get; init; } = [];
}

/// <summary>Shows the nodes of a run, from its folder.</summary>
internal sealed class ClusterStatusCommand : CliCommand<ClusterStatusOptions>
{
    public override string Path => "cluster status";

    public override string Summary => "Show the nodes of a run: roles, versions, queues, last heartbeat, and what is missing.";

    protected override async Task<ExitCode> RunAsync(ClusterStatusOptions options, CliContext context, CancellationToken cancel)
    {
        var page = await ClusterPage.OfAsync(options.Folder(), cancel).ConfigureAwait(false);
        await context.Out.WriteLineAsync(options.Json ? JsonSerializer.Serialize(page, JsonLines.Format) : string.Join('\n', page.Lines())).ConfigureAwait(false);
        return page.IsLed || page.Ended is not null ? ExitCode.Ok : ExitCode.NotFound;
    }
}

/// <summary>Asks a run that a node of it leaves.</summary>
internal sealed class ClusterLeaveCommand : CliCommand<ClusterLeaveOptions>
{
    public override string Path => "cluster leave";

    public override string Summary => "Let a node go: its batches go to others, the state of its trainers is saved first.";

    protected override Task<ExitCode> RunAsync(ClusterLeaveOptions options, CliContext context, CancellationToken cancel) => RunRequest.SendAsync(
        new ClusterRunOptions { File = options.File, Settings = options.Settings }.Folder(),
        new ControlRequest(RunControl.Leave, new Dictionary<string, string> { [RunControl.Node] = options.Node }), "the node stays", context, cancel);
}

/// <summary>Asks a run to end after its iteration.</summary>
internal sealed class ClusterStopCommand : CliCommand<ClusterRunOptions>
{
    public override string Path => "cluster stop";

    public override string Summary => "End a run on all its nodes after the running iteration, with a checkpoint.";

    protected override Task<ExitCode> RunAsync(ClusterRunOptions options, CliContext context, CancellationToken cancel) =>
        RunRequest.SendAsync(options.Folder(), new ControlRequest(RunControl.Stop, new Dictionary<string, string>()), "nothing was stopped", context, cancel);
}

/// <summary>Something that is asked of the nodes of a run.</summary>
internal static class RunRequest
{
    /// <summary>Asks, and prints the answer.</summary>
    public static async Task<ExitCode> SendAsync(RunFolder folder, ControlRequest request, string notDone, CliContext context, CancellationToken cancel)
    {
        var going = new GoingRun(folder);
        if (!(await going.StatusAsync(cancel).ConfigureAwait(false)).IsLed)
            throw new UserErrorException($"Nobody leads the run in {folder.Path}, so nobody can be asked; `colossalchat cluster status` shows since when.", ExitCode.NotFound);
        var answer = await going.AskAsync(request, () => context.Error.WriteLineAsync($"asked the run in {folder.Path}"), notDone, cancel).ConfigureAwait(false);
        await context.Out.WriteLineAsync(answer.Message).ConfigureAwait(false);
        return answer.ExitCode;
    }
}
