using System.Threading.Channels;
using Akka.Actor;
using Akka.Configuration;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>What the supervisor of a run on nodes tells about them.</summary>
[Trait("Category", "CI")]
public sealed class SpreadStatusTests : IAsyncLifetime, IDisposable, IRunObserver
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(60);

    private readonly RunHarness _harness = new();
    private readonly Channel<(string Kind, string Message)> _notes = Channel.CreateUnbounded<(string, string)>();
    private readonly ActorSystem _system = ActorSystem.Create("spread", ConfigurationFactory.ParseString(
        "akka { loglevel = OFF, stdout-loglevel = OFF, loggers = [], log-dead-letters = off }").WithFallback(NodeHocon.Settings).WithFallback(RunHocon.Dispatchers));

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _system.Terminate();
        await _harness.DisposeAsync();
    }

    public void Dispose() => _system.Dispose();

    [Fact]
    public async Task Two_nodes_are_warned_of_once_they_are_all_and_not_while_more_are_coming()
    {
        var run = Start(nodes: 3);
        foreach (var name in (string[])["a", "b", "c"])
            run.Tell(new NodeCame(NodeOf(name)));
        await NoteAsync("Roles are placed");
        run.Tell(new NodeGone("c"));
        Assert.Equal(("warning", ClusterOptions.TwoNodes), await NoteAsync("Two nodes"));
        run.Tell(new NodeCame(NodeOf("d")));
        await NoteAsync("Node d came");
        run.Tell(new NodeGone("d"));
        await NoteAsync("Node d is gone");

        // Each time that they have become two.
        Assert.Equal(("warning", ClusterOptions.TwoNodes), await NoteAsync("Two nodes"));
        Assert.Equal(2, _seen.Count(note => note.Message == ClusterOptions.TwoNodes));
    }

    [Fact]
    public async Task The_status_in_the_run_folder_says_how_far_clocks_are_apart()
    {
        var run = Start(nodes: 1);
        run.Tell(new NodeCame(NodeOf("a")));
        await NoteAsync("Roles are placed");
        run.Tell(new NodeReported(NodeOf("a").Card with { Clock = DateTimeOffset.UtcNow.AddSeconds(30) }, new Dictionary<string, double> { ["reward"] = 3 }));

        var file = new ClusterStatusFile(_harness.RunFolder);
        Assert.True(SpinWait.SpinUntil(() => file.Read()?.Nodes is [{ LastHeard.Ticks: > 0 }], s_longest));
        var node = file.Read()!.Nodes[0];
        Assert.InRange(node.ClockAhead, 25, 30);
        Assert.Contains("rollout.1", node.Queues.Keys);
    }

    void IRunObserver.Started(long firstIteration, long iterations)
    {
        // Nothing of a run is looked at here but its notes.
    }

    void IRunObserver.Reported(IterationReport report)
    {
        // Nothing of a run is looked at here but its notes.
    }

    void IRunObserver.Noted(string kind, string message) => _notes.Writer.TryWrite((kind, message));

    private readonly List<(string Kind, string Message)> _seen = [];

    private async Task<(string Kind, string Message)> NoteAsync(string part)
    {
        while (true)
        {
            var note = await _notes.Reader.ReadAsync().AsTask().WaitAsync(s_longest);
            _seen.Add(note);
            if (note.Message.Contains(part, StringComparison.Ordinal))
                return note;
        }
    }

    private IActorRef Start(int nodes)
    {
        var definition = _harness.Definition() with { Observer = this };
        var cluster = new ClusterOptions { Roles = new Dictionary<string, RoleNodes> { ["rollout"] = new() { Nodes = nodes } } };
        var spread = new SpreadOptions(cluster, NodeOf("a").Card, new CoordinatorTerm(_harness.RunFolder, "a"));
        return _system.ActorOf(Props.Create(() => new SpreadRunActor(definition, spread, new TaskCompletionSource<RunEnd>(), default)));
    }

    private RunNode NodeOf(string name) => new(new NodeCard(name, ClusterOptions.RoleNames, "m", "127.0.0.1", 1, "f", new Dictionary<string, string>(), DateTimeOffset.UtcNow), _system.DeadLetters);
}
