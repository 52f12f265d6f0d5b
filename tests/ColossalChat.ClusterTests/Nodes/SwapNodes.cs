using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Cluster;
using Akka.Configuration;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>
/// A run on several nodes, each an actor system of this process that the others reach by remoting: fake roles that know with
/// which version of the plugin they were made, one run folder.
/// </summary>
internal sealed class SwapNodes : IAsyncDisposable, IRunObserver
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(90);
    private readonly RunHarness _shared = new();
    private readonly ConcurrentQueue<(string Kind, string Message)> _notes = new();
    private readonly TaskCompletionSource<RunOver> _over = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>All nodes' roles.</summary>
    public FakeWorld World => _shared.World;

    public string RunFolder => _shared.RunFolder;

    /// <summary>What the run's folder says of its plugins.</summary>
    public FakeRecord Record { get; } = new();

    public long Iterations { get; init; } = 16;

    /// <summary>Roles that hold something of the plugin.</summary>
    public string[] Users { get; init; } = ["reward"];

    public ConcurrentDictionary<string, SwapNode> Nodes { get; } = new();

    public ConcurrentQueue<IterationReport> Reports { get; } = new();

    public IEnumerable<(string Kind, string Message)> Notes => _notes;

    /// <summary>Runs before a role that depends on the plugin does something: node, version it was made with, what.</summary>
    public Action<SwapNode, int, string> Before { get; set; } = (_, _, _) => { };

    /// <summary>Which node scored which batch of which iteration with which version.</summary>
    public ConcurrentQueue<(string Node, long Iteration, int Version)> Scored { get; } = new();

    /// <summary>Runs when all roles are open.</summary>
    public Action OnStarted { get; set; } = () => { };

    /// <summary>Starts a node that joins the others.</summary>
    public SwapNode Start(string name, params string[] roles) => Nodes[name] = new SwapNode(this, name, roles);

    /// <summary>Everything that must not depend on luck.</summary>
    public string Digest() => World.Digest() + "\n" + string.Join("\n", Reports.Select(RunHarness.Line));

    /// <summary>Waits until the run is over for all nodes.</summary>
    public async Task<RunOver> EndAsync()
    {
        try
        {
            return await _over.Task.WaitAsync(s_longest);
        }
        catch (TimeoutException)
        {
            Assert.Fail($"The run did not end after iteration {Reports.LastOrDefault()?.Iteration}.\n{Story()}");
            throw;
        }
    }

    /// <summary>Waits until something is so.</summary>
    public void Await(Func<bool> isSo, string what) =>
        Assert.True(SpinWait.SpinUntil(isSo, s_longest), $"{what} did not come.\n{Story()}");

    /// <summary>What happened.</summary>
    public string Story() => string.Join('\n', _notes.Select(note => $"{note.Kind}: {note.Message}").Concat(Nodes.Values.Select(node => $"{node.Name}: {string.Join(", ", node.Exchange.Calls)}")));

    void IRunObserver.Started(long firstIteration, long iterations) => OnStarted();

    void IRunObserver.Reported(IterationReport report) => Reports.Enqueue(report);

    void IRunObserver.Noted(string kind, string message) => _notes.Enqueue((kind, message));

    public async ValueTask DisposeAsync()
    {
        foreach (var node in Nodes.Values)
            await node.DisposeAsync();
        await _shared.DisposeAsync();
    }

    internal void Ended(RunOver over) => _over.TrySetResult(over);

    internal RunDefinition DefinitionFor(SwapNode node) => _shared.Definition() with
    {
        Plan = RunHarness.OnlinePlan with { Iterations = Iterations },
        Roles = RolesOf(node),
        Plugins = node.Exchange,
        Observer = this,
        Journal = null,
        Flow = new FlowOptions { RoleTimeout = TimeSpan.FromSeconds(60), BatchesInFlight = 2, SafePointShare = 0, ResendAfter = TimeSpan.FromMilliseconds(500) },
    };

    private RunRoles RolesOf(SwapNode node)
    {
        var roles = World.OnlineRoles("policy", "critic");
        var reward = roles.Scorers[ScoreKind.Rewards];
        return roles with
        {
            Scorers = new Dictionary<ScoreKind, Func<IScoringRole>>(roles.Scorers) { [ScoreKind.Rewards] = () => new Versioned(this, node, reward()) },
            Trainers = roles.Trainers.ToDictionary(trainer => trainer.Key, trainer => (Func<long, CancellationToken, ITrainerRole>)((number, cancel) =>
            {
                if (Users.Contains(RoleSlots.Of(trainer.Key)))
                    Before(node, node.Exchange.Version, $"make {RoleSlots.Of(trainer.Key)}");
                return trainer.Value(number, cancel);
            })),
        };
    }

    private sealed class Versioned(SwapNodes nodes, SwapNode node, IScoringRole inner) : IScoringRole
    {
        private readonly int _version = node.Exchange.Version;

        public ScoreKind Kind => inner.Kind;

        public Scores Score(Rollout rollout, CancellationToken cancel)
        {
            nodes.Before(node, _version, $"score {rollout.Batch}");
            nodes.Scored.Enqueue((node.Name, rollout.Batch.Iteration, _version));
            return inner.Score(rollout, cancel);
        }

        public void LoadWeights(WeightsPublication publication, CancellationToken cancel) => inner.LoadWeights(publication, cancel);

        public void Dispose() => inner.Dispose();
    }
}

/// <summary>One node of them.</summary>
internal sealed class SwapNode : IAsyncDisposable
{
    // Machines that test have few cores: a node that is not killed must not be taken for dead, as it soon is by default.
    private const string Hocon = """
        akka { loglevel = OFF, stdout-loglevel = OFF, loggers = [], log-dead-letters = off, log-dead-letters-during-shutdown = off }
        akka.cluster.failure-detector.acceptable-heartbeat-pause = 6s
        """;

    private readonly SwapNodes _nodes;
    private readonly NetworkBlobLane _lane;

    public SwapNode(SwapNodes nodes, string name, string[] roles)
    {
        (_nodes, Name, Exchange) = (nodes, name, new FakeExchange(nodes.Users) { Record = nodes.Record });
        var hocon = ConfigurationFactory.ParseString(WireHocon.Text)
            .WithFallback(ConfigurationFactory.ParseString($"akka.cluster.roles = [{string.Join(", ", roles)}]\n{Hocon}"))
            .WithFallback(NodeHocon.Settings).WithFallback(RunHocon.Dispatchers);
        System = ActorSystem.Create("swap", hocon);
        _lane = new NetworkBlobLane(new LaneSettings { Host = "127.0.0.1", SpillFolder = nodes.RunFolder }, new Silence());
        var address = Akka.Cluster.Cluster.Get(System).SelfAddress.ToString();
        var card = new NodeCard(name, roles, "machine", "127.0.0.1", 1, "f", new Dictionary<string, string>(), DateTimeOffset.UtcNow);
        var run = nodes.DefinitionFor(this) with { Parcels = new ParcelPost(System, _lane) };
        var cluster = new ClusterOptions { Name = "swap", Roles = new Dictionary<string, RoleNodes> { ["reward"] = new() { Nodes = 2 } } };
        var term = new CoordinatorTerm(nodes.RunFolder, name);
        var leader = roles.Contains(RunNodes.CoordinatorRole)
            ? new CoordinatorDefinition
            {
                Cluster = cluster,
                Card = card,
                Term = term,
                Mark = term.Mark,
                Abandon = _ => { },
                Open = () => new LedRun(run with { Fence = term.Require, ResumeFrom = Checkpoints.LatestForCoordinator(nodes.RunFolder).Checkpoint }, _ => { }),
            }
            : null;
        var seeds = nodes.Nodes.Values.Select(node => node.Address).ToArray();
        Address = address;
        RunNodes.Start(System, new NodeDefinition { Card = card, FreePort = () => 1, Run = run, MeetAt = _ => { }, Ended = nodes.Ended }, leader, seeds.Length == 0 ? [address] : seeds);
    }

    public string Name { get; }

    public string Address { get; }

    public FakeExchange Exchange { get; }

    public ActorSystem System { get; }

    public bool IsDead { get; private set; }

    /// <summary>It is gone with all it has, and whoever calls this does nothing more for the run.</summary>
    public void Die()
    {
        IsDead = true;
        var others = _nodes.Nodes.Values.Where(node => !node.IsDead).Select(node => Akka.Cluster.Cluster.Get(node.System)).ToArray();
        others.First(cluster => cluster.SelfMember.Status == MemberStatus.Up).Down(Akka.Actor.Address.Parse(Address));
        _nodes.Await(() => others.All(cluster => cluster.State.Members.All(member => member.Address.ToString() != Address)), $"the end of {Name}");
        throw new InvalidOperationException($"{Name} is dead.");
    }

    public async ValueTask DisposeAsync()
    {
        await System.Terminate();
        _lane.Dispose();
    }

    private sealed class Silence : INodeLog
    {
        public void Debug(string message)
        {
            // Nobody reads it.
        }

        public void Info(string message)
        {
            // Nobody reads it.
        }

        public void Warning(string message)
        {
            // Nobody reads it.
        }

        public void Error(string message)
        {
            // Nobody reads it.
        }
    }
}
