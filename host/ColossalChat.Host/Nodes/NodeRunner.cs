using Akka.Actor;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Ranks;
using ColossalChat.Host.Runs;
using ColossalChat.Host.Telemetry;
using ColossalChat.Transfer;

namespace ColossalChat.Host.Nodes;

/// <summary>Runs one node: plugins and models of this process, in the actor system of a cluster.</summary>
internal sealed class NodeRunner(HostServices host, RunBinding binding, IReadOnlyList<string> roles)
{
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(2);

    // A timer that nobody holds may be collected before it fires, and the process would stay.
    private static Timer? s_exit;
    private readonly TaskCompletionSource<RunOver> _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string _mark = "";
    private volatile bool _wasMember;

    private RunFolder Folder => RunBinder.RunFolderOf(binding.Current.Settings.Run);

    /// <summary>Joins, hosts, and leaves when the run has ended or the user wants it.</summary>
    public async Task<RunOver> RunAsync(CancellationToken cancel)
    {
        var name = NodeName();
        var own = Path.Combine(Folder.Path, "nodes", name);
        Directory.CreateDirectory(own);
        _mark = new CoordinatorTerm(Folder.Path, name).Mark;
        var telemetry = binding.Current.Settings.Telemetry;
        using var log = new NodeLog(host.Console, host.IsVerbose, Path.Combine(own, "log.txt"), telemetry.JsonLog ? Path.Combine(own, "log.jsonl") : null, name);
        await using var told = (await NodeTelemetry.StartAsync(telemetry, new RunFolder(own), Folder.IdentityFor(telemetry), name, log).ConfigureAwait(false)).ConfigureAwait(false);
        var network = NodeNetwork.Of(binding.Current);
        var cluster = binding.Current.Settings.Cluster;
        if (NodeTls.RiskOf(cluster, network) is { } risk)
            log.Warning(risk);
        using var identity = NodeTls.FilesOf(cluster.Tls)?.Load(log.Warning);
        var laneSettings = NodeTls.LaneOf(cluster, network, own);
        using var lane = new NetworkBlobLane(laneSettings, log);
        NodeContext NewContext() => new(NodeSetup.Of(binding, Folder.Path, log) with
        {
            NodeName = name,
            Devices = host.Devices,
            Blobs = lane,
            ReadersAreElsewhere = true,
        });
        using var node = NewContext();
        using var ranks = TrainerRanks.OfNode(binding, node, NewContext, identity);
        using var exchange = new PluginExchange(
            binding, node, Folder, roles.Contains(RunNodes.CoordinatorRole) ? StageRunner.WatchOf(binding.Current) : null, log, isSpread: true);
        var system = ActorSystem.Create(cluster.Name, NodeNetwork.SystemSetup(binding.Current.Config, roles, identity, log));
        try
        {
            var card = NodeCards.Of(binding.Current, name, roles, network.Host);
            var run = Definition(node, ranks, new ParcelPost(system, lane), reason => GiveUp(system, log, reason)) with { Plugins = exchange };
            var definition = new NodeDefinition { Card = card, FreePort = () => NodeCards.FreePort(network.Host), Run = run, MeetAt = ranks.MeetAt, Ended = over => _over.TrySetResult(over) };
            using var address = NodeAddresses.Leave(Folder.Path, name, Akka.Cluster.Cluster.Get(system).SelfAddress.ToString());
            using var record = new NodeRecord(card, address.Own, laneSettings.AdvertisedHost, lane.Port, identity?.Certificate.Subject ?? "", identity?.Certificate.NotAfter.ToUniversalTime()).Leave(Folder.Path);
            WatchMembership(system, log);
            var known = NodeAddresses.Of(Folder.Path).Where(other => other != address.Own).ToArray();
            var handle = RunNodes.Start(
                system, definition, roles.Contains(RunNodes.CoordinatorRole) ? Leader(run, card, node, exchange, log) : null, network.SeedsFor(address.Own, identity is null ? known : NodeTls.Trusted(known, identity)));
            log.Info($"node {name} with roles {string.Join(", ", roles)}, run folder {Folder.Path}");
            using var leaving = cancel.Register(handle.Leave);
            using var watch = new Timer(_ => LookForEnd(own, log), null, TimeSpan.Zero, s_look);
            return await EndAsync(system, cancel).ConfigureAwait(false);
        }
        finally
        {
            await system.Terminate().ConfigureAwait(false);
            foreach (var retired in exchange.CollectAll())
                log.Debug(retired.Message);
        }
    }

    private string WhyAlone(CoordinatedShutdown.Reason? reason)
    {
        if (!_wasMember)
            return "No other node let this one in: are the seed nodes up, at these addresses, and are all certificates good (`colossalchat doctor FILE`)? The log says more.";
        return reason?.GetType().Name == "TlsHandshakeFailureReason" // Not public in Akka.Remote.
            ? "A connection to another node met no good certificate, or ended before it was shown; the log says which. Start this node again."
            : "The others took this node for dead and go on without it; start it again.";
    }

    private void WatchMembership(ActorSystem system, NodeLog log)
    {
        var cluster = Akka.Cluster.Cluster.Get(system);
        cluster.RegisterOnMemberUp(() =>
        {
            _wasMember = true;
            if (cluster.State.Members.Count == 2)
                log.Warning(ClusterOptions.TwoNodes);
        });
    }

    // The run ends for all; a node that leaves, or was taken for dead by the others, ends alone.
    private async Task<RunOver> EndAsync(ActorSystem system, CancellationToken cancel)
    {
        var shutdown = CoordinatedShutdown.Get(system);
        await Task.WhenAny(_over.Task, system.WhenTerminated).ConfigureAwait(false);
        if (!_over.Task.IsCompleted)
            return cancel.IsCancellationRequested
                ? new RunOver(ExitCode.Ok, "The node has left.")
                : new RunOver(ExitCode.Failed, WhyAlone(shutdown.ShutdownReason));
        await shutdown.Run(CoordinatedShutdown.ClrExitReason.Instance).ConfigureAwait(false);
        return await _over.Task.ConfigureAwait(false);
    }

    // A node that came too late to hear it, or to which it got lost, sees in the run folder that there is nothing left to do.
    private void LookForEnd(string own, NodeLog log)
    {
        try
        {
            NodeClock.Tell(own);
            var term = new CoordinatorTerm(Folder.Path, "");
            if (term.EndedSince(_mark) is { } over)
                _over.TrySetResult(over);
        }
        catch (Exception error)
        {
            // Whatever leaves a timer ends the process.
            log.Debug($"The run folder could not be looked at: {error.Message}");
        }
    }

    private RunDefinition Definition(NodeContext node, TrainerRanks ranks, ParcelPost parcels, Action<string> abandon)
    {
        var settings = binding.Current.Settings;
        return new RunDefinition
        {
            Plan = binding.Current.Plan,
            Roles = RoleMakers.Of(binding, node, ranks),
            Devices = node.Devices,
            Device = settings.Device,
            RunFolder = Folder.Path,
            RunId = Folder.IdentityFor(settings.Telemetry),
            Journal = StageRunner.JournalOf(binding.Current),
            CheckpointEvery = settings.Run.CheckpointEvery,
            KeepCheckpoints = settings.Run.KeepCheckpoints,
            KeepBest = settings.Run.KeepBest.Length > 0 ? new BestRule(settings.Run.KeepBest, settings.Run.BestIs) : null,
            Observer = new NoObserver(),
            Flow = settings.Flow,
            Parcels = parcels,
            Abandon = abandon,
        };
    }

    private CoordinatorDefinition Leader(RunDefinition run, NodeCard card, NodeContext node, PluginExchange exchange, NodeLog log)
    {
        var term = new CoordinatorTerm(Folder.Path, card.Name);
        return new CoordinatorDefinition
        {
            Cluster = binding.Current.Settings.Cluster,
            Card = card,
            Term = term,
            Mark = _mark,
            Abandon = run.Abandon!,
            Open = () => Open(run with { Fence = term.Require }, node, exchange, log),
        };
    }

    // The run is where its folder says that it is; whoever led it before.
    private LedRun Open(RunDefinition run, NodeContext node, PluginExchange exchange, NodeLog log)
    {
        var folder = Folder;
        if (!File.Exists(folder.EffectiveConfig))
            File.WriteAllText(folder.EffectiveConfig, binding.Current.EffectiveText());
        FlatSettings.CheckStage(FlatSettings.OfFile(folder.EffectiveConfig), FlatSettings.Of(binding.Current.EffectiveText(), "configuration"), folder.Path);
        Checkpoints.Recover(folder.Path, log.Warning);
        var choice = Checkpoints.LatestForCoordinator(folder.Path);
        foreach (var skipped in choice.Skipped)
            log.Warning(skipped);
        exchange.Lead(choice.Checkpoint?.Iteration ?? 0);
        IMetricSink[] sinks = [.. (binding.Current.Settings.Run.Sinks ?? []).Select(name => node.Resolve<IMetricSinkFactory>(name).Open(folder.Path))];
        var recorder = new RunRecorder(folder, new RecorderSettings(log, host.Console, host.Console.Line, sinks)
        {
            SamplesEvery = binding.Current.Settings.Run.SamplesEvery,
            IsResumed = File.Exists(folder.Metrics),
        });
        return new LedRun(run with { Observer = recorder, ResumeFrom = choice.Checkpoint }, end =>
        {
            if (end is { Failure: { } failure })
                recorder.Failed(failure, end.LastIteration);
            else if (end is not null)
                recorder.Ended(end.ExitCode, end.LastIteration);
            recorder.Dispose();
            foreach (var sink in sinks)
                sink.Dispose();
        });
    }

    // Other nodes hear of it at once, and not only when heartbeats stay away.
    private static void GiveUp(ActorSystem system, NodeLog log, string reason)
    {
        log.Error($"{reason} This process ends; start it again.");
        var cluster = Akka.Cluster.Cluster.Get(system);
        cluster.Down(cluster.SelfAddress);
        s_exit = new Timer(_ => Environment.Exit((int)ExitCode.Failed), null, TimeSpan.FromSeconds(1), Timeout.InfiniteTimeSpan);
    }

    // A process that is started again is another node, in a container with the same number too.
    private static string NodeName() => $"{Environment.MachineName.ToLowerInvariant()}-{Environment.ProcessId}-{Guid.NewGuid().ToString("N")[..4]}";

    private sealed class NoObserver : IRunObserver
    {
        public void Started(long firstIteration, long iterations)
        {
            // Only the coordinator's process is told.
        }

        public void Reported(IterationReport report)
        {
            // Only the coordinator's process is told.
        }

        public void Noted(string kind, string message)
        {
            // Only the coordinator's process is told.
        }
    }
}
