using Akka.Actor;
using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests.Nodes;

/// <summary>What a node says when it is asked for something that it cannot do, or that was not heard.</summary>
[Trait("Category", "CI")]
public sealed class NodeActorTests : IAsyncLifetime, IDisposable
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(60);
    private static readonly PluginCopy[] s_second = [new("Fake", "2", "hash 2", "/fake")];
    private readonly SpreadRun _run = new();
    private readonly RunHarness _harness = new();
    private readonly FakeExchange _exchange = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _run.DisposeAsync();
        await _harness.DisposeAsync();
    }

    public void Dispose()
    {
        _run.Dispose();
        Directory.Delete(_harness.RunFolder, recursive: true);
    }

    public static TheoryData<Exception, ExitCode> Failures => new()
    {
        { new UserErrorException("The storage is away.", ExitCode.Resource), ExitCode.Resource },
        { new IOException("The storage is away."), ExitCode.Failed },
        { new InvalidOperationException("The storage is away."), ExitCode.Failed },
    };

    [Theory]
    [MemberData(nameof(Failures), DisableDiscoveryEnumeration = true)]
    public async Task Whatever_keeps_it_from_using_plugins_is_answered(Exception failure, ExitCode exitCode)
    {
        _exchange.Before = _ => throw failure;
        var used = await Node().Ask<PluginsUsed>(new UsePlugins(s_second), s_longest);
        Assert.Equal(exitCode, used.ExitCode);
        Assert.EndsWith("The storage is away.", used.Error, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Failures), DisableDiscoveryEnumeration = true)]
    public void Whatever_keeps_it_from_hosting_a_role_is_told_to_the_run(Exception failure, ExitCode exitCode)
    {
        _exchange.Before = _ => throw failure;
        using var run = Inbox.Create(_run.System);
        Node().Tell(Host(run.Receiver));

        var failed = Assert.IsType<RoleFailed>(run.Receive(s_longest));

        Assert.Equal((1, "rollout.1", exitCode), (failed.Epoch, failed.Role, failed.ExitCode));
        Assert.EndsWith("The storage is away.", failed.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void It_says_that_it_wants_to_leave_each_time_that_it_is_asked_how_it_is()
    {
        _exchange.Before = _ => throw new UserErrorException("The storage is away.");
        using var dead = Inbox.Create(_run.System);
        using var next = Inbox.Create(_run.System);
        var node = Node();
        node.Tell(Host(dead.Receiver));
        Assert.IsType<RoleFailed>(dead.Receive(s_longest));
        node.Tell(new NodeActor.WantsToLeave());
        Assert.Equal(new NodeLeaving("n"), dead.Receive(s_longest));

        for (var asked = 0; asked < 2; asked++)
        {
            node.Tell(new DescribeNode(), next.Receiver);
            Assert.IsType<NodeDescribed>(next.Receive(s_longest));
            Assert.Equal(new NodeLeaving("n"), next.Receive(s_longest));
        }
    }

    private static HostRole Host(IActorRef run) => new(1, "rollout.1", "", "", run, ActorRefs.Nobody, s_second);

    private IActorRef Node() => _run.System.ActorOf(NodeActor.Of(new NodeDefinition
    {
        Card = new NodeCard("n", [RoleSlots.Rollout], "m", "127.0.0.1", 1, "f", new Dictionary<string, string>(), DateTimeOffset.UtcNow),
        FreePort = () => 1,
        Run = _harness.Definition() with { Plugins = _exchange },
        MeetAt = _ => { },
        Ended = _ => { },
    }));
}
