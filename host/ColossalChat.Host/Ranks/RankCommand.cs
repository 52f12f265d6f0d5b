using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Transfer;

namespace ColossalChat.Host.Ranks;

/// <summary>Options of <c>rank</c>.</summary>
internal sealed record RankOptions
{
    [CliArgument(0)]
    [CliHelp("Effective configuration of the run.")]
    public required string File { get; init; }

    [CliHelp("Folder of the run.")]
    public required string RunFolder { get; init; }

    [CliHelp("Address where the ranks meet.")]
    public required string Meet { get; init; }

    [CliHelp("Number of this process, from 0.")]
    public int Process { get; init; }

    [CliHelp("Attempt of the run.")]
    public long Attempt { get; init; }

    [CliHelp("A plugin that the run exchanged and the folder that it is in, NAME=FOLDER.")]
    public IReadOnlyList<string> Swapped { get; init; } = [];
}

/// <summary>A child process of a run: serves its trainer ranks until the leading process is done with them or dead.</summary>
internal sealed class RankCommand(HostServices host) : CliCommand<RankOptions>
{
    public override string Path => "rank";

    public override string Summary => "Serve trainer ranks to a run; 'train' starts these processes itself (trainer.processes).";

    protected override async Task<ExitCode> RunAsync(RankOptions options, CliContext context, CancellationToken cancel)
    {
        LeaderWatch.Start(Console.OpenStandardInput(), options.File);
        // Ctrl+C reaches all processes of a terminal; when to end is the leading process's decision.
        using var going = host.BeginRun();
        var config = ConfigLoader.LoadEffective(options.File);
        using var plugins = host.CatalogFor(RunBinder.PluginsOf(config), SwappedIn(options.Swapped));
        var bound = RunBinder.Bind(config, plugins.Catalog);
        var binding = new RunBinding(bound);
        var layout = new RankLayout(bound.Settings.Trainer);
        using var log = new NodeLog(host.Console, host.IsVerbose);
        // The leading process keeps copies in memory as long as it holds less than half of it; this is for the other half.
        var keeping = new StateKeeping(ProcessMemory.Allowed / 2 / Math.Max(1, bound.Settings.Trainer.Processes), log.Debug);
        var own = layout.Ranks.Where(rank => layout.ProcessOf(rank) == options.Process)
            .SelectMany(rank => bound.Plan.ModelsTrained, (rank, model) => new RemoteRank(model, rank, options.Attempt));
        await Task.WhenAll(own.Select(rank => OnThread(() => Serve(binding, layout, rank, options, keeping, log)))).ConfigureAwait(false);
        return ExitCode.Ok;
    }

    private static void Serve(RunBinding binding, RankLayout layout, RemoteRank rank, RankOptions options, StateKeeping keeping, INodeLog log)
    {
        var peers = PeerAddress.Open(options.Meet);
        using var node = new NodeContext(NodeSetup.Of(binding, options.RunFolder, log));
        RemoteTrainers.Serve(
            peers, rank, cancel => layout.Make(node, binding.Current.Settings, rank.Model, rank.Rank, rank.Attempt, peers.Until(cancel)), keeping, RankLayout.StartDeadline);
    }

    private static Dictionary<string, string> SwappedIn(IEnumerable<string> pairs) => pairs
        .Select(pair => pair.Split('=', 2))
        .ToDictionary(pair => pair[0], pair => pair.Length == 2 ? pair[1] : throw new UserErrorException($"--swapped is '{pair[0]}'; it must be NAME=FOLDER.", ExitCode.Usage));

    // Ranks wait for each other in the middle of their work, so each needs a thread that is nobody else's.
    private static Task OnThread(Action work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
