using Akka.Actor;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Ranks;

namespace ColossalChat.Host.Runs;

/// <summary>A stretch of a run that is trained again.</summary>
/// <param name="Config">Settings to train with.</param>
/// <param name="From">Where it begins; null for the weights before training.</param>
/// <param name="Last">Last iteration.</param>
internal sealed record ReplayStretch(LoadedConfig Config, Checkpoint? From, long Last);

/// <summary>Trains iterations of a run again from its journal, in a folder of its own; nothing of the run is changed.</summary>
internal sealed class RunReplayer(HostServices host, RunJournal journal) : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("colossalchat-replay-").FullName;

    /// <summary>Replays a stretch.</summary>
    /// <param name="stretch">Which.</param>
    /// <param name="cancel">Ends it after the running iteration.</param>
    /// <exception cref="UserErrorException">It cannot be replayed, or a role failed.</exception>
    public async Task<IReadOnlyList<ReplayedIteration>> RunAsync(ReplayStretch stretch, CancellationToken cancel) =>
        (await RunAsync(stretch, savesLast: false, cancel).ConfigureAwait(false)).Iterations;

    /// <summary>Replays a stretch to go on from its end.</summary>
    public async Task<Checkpoint> StateAfterAsync(ReplayStretch stretch, CancellationToken cancel) =>
        Checkpoints.Open((await RunAsync(stretch, savesLast: true, cancel).ConfigureAwait(false)).End.Checkpoint!);

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            Directory.Delete(_folder, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            host.Console.Line($"warning: {_folder} could not be removed: {error.Message}");
        }
    }

    private async Task<ReplayOutcome> RunAsync(ReplayStretch stretch, bool savesLast, CancellationToken cancel)
    {
        using var plugins = host.CatalogFor(RunBinder.PluginsOf(stretch.Config));
        var bound = RunBinder.Bind(stretch.Config, plugins.Catalog);
        var binding = new RunBinding(bound);
        using var log = new NodeLog(host.Console, host.IsVerbose);
        using var node = new NodeContext(NodeSetup.Of(binding, _folder, log) with { Devices = host.Devices });
        using var ranks = TrainerRanks.Of(binding, node, host, _folder, log);
        var definition = new RunDefinition
        {
            Plan = bound.Plan,
            Roles = RoleMakers.Of(binding, node, ranks),
            Devices = node.Devices,
            Device = bound.Settings.Device,
            RunFolder = _folder,
            Observer = new Notes(log),
            Flow = bound.Settings.Flow,
        };
        var system = ActorSystem.Create("colossalchat", StageRunner.SystemSetup(bound.Config, log));
        try
        {
            var outcome = await Replay.StartAsync(
                system, new ReplayRequest { Definition = definition, Journal = journal, From = stretch.From, Last = stretch.Last, SavesLast = savesLast }, cancel).ConfigureAwait(false);
            return outcome.End switch
            {
                { Failure: { } failure, ExitCode: var code } => throw new UserErrorException(failure, code),
                { ExitCode: ExitCode.Interrupted } => throw new OperationCanceledException(cancel),
                _ => outcome,
            };
        }
        finally
        {
            ranks.Dispose();
            await system.Terminate().ConfigureAwait(false);
        }
    }

    private sealed class Notes(INodeLog log) : IRunObserver
    {
        public void Started(long firstIteration, long iterations) => log.Debug($"replays from iteration {firstIteration}");

        public void Reported(IterationReport report) => log.Debug($"iteration {report.Iteration} is trained again");

        public void Noted(string kind, string message) => log.Debug($"{kind}: {message}");
    }
}
