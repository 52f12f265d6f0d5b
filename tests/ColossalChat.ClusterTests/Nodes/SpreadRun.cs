using System.Threading.Channels;
using Akka.Actor;
using Akka.Configuration;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.Cluster.Tests.Nodes;

/// <summary>The supervisor of a run on nodes, with nodes that only remember what they were told.</summary>
internal sealed class SpreadRun : IAsyncDisposable, IDisposable, IRunObserver
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(60);
    private readonly RunHarness _harness = new();
    private readonly Channel<(string Kind, string Message)> _notes = Channel.CreateUnbounded<(string, string)>();
    private readonly Dictionary<string, (IActorRef Actor, Channel<object> Told)> _nodes = [];
    private readonly TaskCompletionSource<RunEnd> _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();

    public SpreadRun() => _harness.Flow = new FlowOptions { RoleTimeout = TimeSpan.FromSeconds(20), CancelGrace = TimeSpan.FromSeconds(5) };

    /// <summary>All notes that were waited for or passed by.</summary>
    public List<(string Kind, string Message)> Seen { get; } = [];

    /// <summary>What exchanges plugins; null where nothing does.</summary>
    public FakeExchange? Plugins { get; set; }

    public string Folder => _harness.RunFolder;

    public ActorSystem System { get; } = ActorSystem.Create("spread", ConfigurationFactory.ParseString(WireHocon.Text)
        .WithFallback(ConfigurationFactory.ParseString("akka { loglevel = OFF, stdout-loglevel = OFF, loggers = [], log-dead-letters = off }"))
        .WithFallback(NodeHocon.Settings).WithFallback(RunHocon.Dispatchers));

    public IActorRef Run { get; private set; } = ActorRefs.Nobody;

    /// <summary>Waits until the supervisor and all that it started are stopped.</summary>
    public async Task GoneAsync() => Assert.True(await Run.WatchAsync().WaitAsync(s_longest));

    public Task<RunEnd> Ended => _end.Task.WaitAsync(s_longest);

    /// <summary>Starts the supervisor as node <c>a</c> would.</summary>
    public void Start(IReadOnlyDictionary<string, RoleNodes>? roles = null, TimeSpan? wait = null, int ranks = 1)
    {
        var all = _harness.World.OnlineRoles([.. _harness.Plan.ModelsTrained]);
        _harness.Roles = all with
        {
            Trainers = all.Trainers.SelectMany(trainer => Enumerable.Range(0, ranks), (trainer, rank) => (Id: trainer.Key with { Rank = rank }, Make: trainer.Value))
                .ToDictionary(trainer => trainer.Id, trainer => trainer.Make),
        };
        var term = new CoordinatorTerm(Folder, "a");
        var definition = _harness.Definition() with { Observer = this, Plugins = Plugins, Fence = term.Require, Parcels = new ParcelPost(System, new InProcessBlobLane()) };
        var cluster = new ClusterOptions { Roles = roles ?? new Dictionary<string, RoleNodes>(), WaitForNodes = wait ?? TimeSpan.FromMinutes(5) };
        var spread = new SpreadOptions(cluster, CardOf("a", ClusterOptions.RoleNames), term);
        var (end, stop) = (_end, _stop.Token);
        Run = System.ActorOf(Props.Create(() => new SpreadRunActor(definition, spread, end, stop)).WithDispatcher(RunHocon.IoDispatcher));
    }

    /// <summary>A node comes, or comes back.</summary>
    public void Come(string name, params string[] roles) => Come(CardOf(name, roles));

    /// <summary>A node comes that was started with another version of a plugin than the others.</summary>
    public void ComeDifferent(string name, string plugin, params string[] roles) =>
        Come(CardOf(name, roles) with { Fingerprint = "g", Versions = new Dictionary<string, string> { [NodeCard.KeyOf(plugin)] = "2" } });

    private void Come(NodeCard card)
    {
        var name = card.Name;
        if (!_nodes.TryGetValue(name, out var node))
        {
            var told = Channel.CreateUnbounded<object>();
            node = _nodes[name] = (System.ActorOf(Props.Create(() => new Collector(told.Writer))), told);
        }

        Run.Tell(new NodeCame(new RunNode(card, node.Actor)));
    }

    /// <summary>A node says where ranks can meet, and what it hosts.</summary>
    public void Report(string name, int meetPort, params string[] hosted) =>
        Run.Tell(new NodeReported(CardOf(name, [RoleSlots.Trainer]) with { MeetPort = meetPort }, hosted.ToDictionary(slot => slot, _ => 0.0)));

    /// <summary>Waits for a note.</summary>
    public async Task<(string Kind, string Message)> NoteAsync(string part)
    {
        while (true)
        {
            var note = await _notes.Reader.ReadAsync().AsTask().WaitAsync(s_longest);
            Seen.Add(note);
            if (note.Message.Contains(part, StringComparison.Ordinal))
                return note;
        }
    }

    /// <summary>Waits until a node is told something.</summary>
    public async Task<T> ToldAsync<T>(string node)
    {
        using var longest = new CancellationTokenSource(s_longest);
        while (true)
            if (await _nodes[node].Told.Reader.ReadAsync(longest.Token) is T told)
                return told;
    }

    /// <summary>What a node has been told since somebody looked last, once the supervisor has done all that it was told before.</summary>
    public async Task<IReadOnlyList<object>> ToldSoFarAsync(string node)
    {
        await Run.Ask<ControlAnswer>(new NodeAskedToLeave("nobody"), s_longest);
        _nodes[node].Actor.Tell(Mark.Here);
        var told = new List<object>();
        while (await _nodes[node].Told.Reader.ReadAsync().AsTask().WaitAsync(s_longest) is var next and not Mark)
            told.Add(next);
        return told;
    }

    public async Task<ControlAnswer> AskToLeaveAsync(string node) => await Run.Ask<ControlAnswer>(new NodeAskedToLeave(node), s_longest);

    /// <summary>An iteration of the attempt has ended.</summary>
    public void EndIteration(long epoch, long iteration) =>
        Run.Tell(new IterationEnded(epoch, new IterationReport(iteration, BatchPurpose.Train, new Dictionary<string, double>(), [])));

    /// <summary>A checkpoint is on the disk.</summary>
    public void Save(long iteration) => Run.Tell(new CheckpointSaved(iteration, "checkpoint", TimeSpan.Zero));

    void IRunObserver.Started(long firstIteration, long iterations)
    {
        // Nothing is looked at here but notes.
    }

    void IRunObserver.Reported(IterationReport report)
    {
        // Nothing is looked at here but notes.
    }

    void IRunObserver.Noted(string kind, string message) => _notes.Writer.TryWrite((kind, message));

    public async ValueTask DisposeAsync()
    {
        await System.Terminate();
        await _harness.DisposeAsync();
    }

    public void Dispose()
    {
        _stop.Dispose();
        System.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    private static NodeCard CardOf(string name, IReadOnlyList<string> roles) =>
        new(name, roles, name, "127.0.0.1", 1, "f", new Dictionary<string, string>(), DateTimeOffset.UtcNow);

    private sealed class Collector : ReceiveActor
    {
        public Collector(ChannelWriter<object> told) => ReceiveAny(message => told.TryWrite(message));
    }

    private sealed record Mark
    {
        public static readonly Mark Here = new();
    }
}
