using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Configuration;
using ColossalChat.Contracts;
using ColossalChat.Transfer;

namespace ColossalChat.Cluster.Tests.Nodes;

/// <summary>A cluster of several actor systems in this process that talk through sockets, with fake roles of one world.</summary>
internal sealed class NodesOfOneProcess : IAsyncDisposable, IDisposable, IRunObserver
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(120);
    private readonly InProcessBlobLane _lane = new();
    private readonly Dictionary<string, (NodeHandle Handle, TaskCompletionSource<RunOver> Over)> _nodes = [];
    private string? _seed;
    private int _port = 1;

    public string Folder { get; } = Directory.CreateTempSubdirectory("colossalchat-nodes-").FullName;

    public FakeWorld World { get; } = new();

    public StagePlan Plan { get; set; } = RunHarness.OnlinePlan;

    public ClusterOptions Cluster { get; set; } = new();

    public long CheckpointEvery { get; set; }

    public Func<RunRoles, RunRoles> Roles { get; set; } = roles => roles;

    /// <summary>Opens the run for a coordinator; null for one that can.</summary>
    public Func<LedRun>? Open { get; set; }

    public ConcurrentQueue<(string Kind, string Message)> Notes { get; } = new();

    /// <summary>Nodes that gave themselves up, and why.</summary>
    public ConcurrentQueue<(string Node, string Reason)> Abandoned { get; } = new();

    public NodeHandle this[string name] => _nodes[name].Handle;

    /// <summary>Starts a node; the first begins the cluster.</summary>
    public void Start(string name, params string[] roles)
    {
        var system = ActorSystem.Create("nodes", ConfigurationFactory.ParseString(WireHocon.Text)
            .WithFallback(ConfigurationFactory.ParseString($"akka {{ loglevel = OFF, stdout-loglevel = OFF, loggers = [], log-dead-letters = off, cluster.roles = [{string.Join(", ", roles)}] }}"))
            .WithFallback(NodeHocon.Settings).WithFallback(RunHocon.Dispatchers));
        var over = new TaskCompletionSource<RunOver>(TaskCreationOptions.RunContinuationsAsynchronously);
        var card = new NodeCard(name, roles, "m", "127.0.0.1", 1, "f", new Dictionary<string, string>(), DateTimeOffset.UtcNow);
        var run = new RunDefinition
        {
            Plan = Plan,
            Roles = Roles(World.OnlineRoles([.. Plan.ModelsTrained])),
            Devices = new DeviceLeases(),
            RunFolder = Folder,
            CheckpointEvery = CheckpointEvery,
            Observer = this,
            Flow = new FlowOptions { RoleTimeout = TimeSpan.FromSeconds(60), ResendAfter = TimeSpan.FromMilliseconds(500) },
            Parcels = new ParcelPost(system, _lane),
        };
        var node = new NodeDefinition { Card = card, FreePort = () => Interlocked.Increment(ref _port), Run = run, MeetAt = _ => { }, Ended = ended => over.TrySetResult(ended) };
        _nodes[name] = (RunNodes.Start(system, node, roles.Contains(RunNodes.CoordinatorRole) ? Leader(run, card) : null, _seed is null ? [] : [_seed]), over);
        _seed ??= Akka.Cluster.Cluster.Get(system).SelfAddress.ToString();
    }

    /// <summary>How the run ended, as a node was told.</summary>
    public Task<RunOver> OverAsync(string node) => _nodes[node].Over.Task.WaitAsync(s_longest);

    void IRunObserver.Started(long firstIteration, long iterations)
    {
        // Only notes are looked at.
    }

    void IRunObserver.Reported(IterationReport report)
    {
        // Only notes are looked at.
    }

    void IRunObserver.Noted(string kind, string message) => Notes.Enqueue((kind, message));

    public async ValueTask DisposeAsync() => await Task.WhenAll(_nodes.Values.Select(node => node.Handle.System.Terminate()));

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private CoordinatorDefinition Leader(RunDefinition run, NodeCard card)
    {
        var term = new CoordinatorTerm(Folder, card.Name);
        return new CoordinatorDefinition
        {
            Cluster = Cluster,
            Card = card,
            Term = term,
            Mark = term.Mark,
            Abandon = reason => Abandoned.Enqueue((card.Name, reason)),
            Open = Open ?? (() => new LedRun(run with { Fence = term.Require, ResumeFrom = Checkpoints.LatestForCoordinator(Folder).Checkpoint }, _ => { })),
        };
    }
}
