using System.Threading.Channels;
using Akka.Actor;
using Akka.Cluster.Tools.Singleton;
using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>What Akka's own cluster says between nodes needs nothing that the wire's settings take away.</summary>
[Trait("Category", "CI")]
public sealed class WireClusterTests
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(60);

    private readonly Channel<string> _begun = Channel.CreateUnbounded<string>();

    [Fact]
    public async Task A_cluster_forms_hands_its_singleton_over_and_lets_a_node_go()
    {
        const string settings = """

            akka.actor.provider = cluster
            akka.cluster.min-nr-of-members = 2
            akka.cluster.singleton.hand-over-retry-interval = 200ms
            """;
        await using var first = new WireNode(WireHocon.Text + settings);
        await using var second = new WireNode(WireHocon.Text + settings);
        var up = new[] { first, second }.Select(UpAsync).ToArray();
        var address = Akka.Cluster.Cluster.Get(first.System).SelfAddress;
        await Akka.Cluster.Cluster.Get(first.System).JoinAsync(address).WaitAsync(s_longest);
        await Akka.Cluster.Cluster.Get(second.System).JoinAsync(address).WaitAsync(s_longest);
        await Task.WhenAll(up).WaitAsync(s_longest);

        Host(first, "first");
        Host(second, "second");
        Assert.Equal("first", await _begun.Reader.ReadAsync().AsTask().WaitAsync(s_longest));
        var proxy = second.System.ActorOf(ClusterSingletonProxy.Props("/user/singleton", ClusterSingletonProxySettings.Create(second.System)), "proxy");
        var batch = new BatchId(3, 1);
        proxy.Tell(new BatchJoined(batch), second.Listener);
        Assert.Equal(new BatchJoined(batch), await second.ReceiveAsync());

        await Akka.Cluster.Cluster.Get(first.System).LeaveAsync().WaitAsync(s_longest);
        Assert.Equal("second", await _begun.Reader.ReadAsync().AsTask().WaitAsync(s_longest));

        // What was refused would stand here; the goodbyes of the node that left may too.
        while (second.LogLines > 0)
            Assert.DoesNotContain("serial", await second.LogLineAsync(), StringComparison.OrdinalIgnoreCase);
        while (first.LogLines > 0)
            Assert.DoesNotContain("serial", await first.LogLineAsync(), StringComparison.OrdinalIgnoreCase);
    }

    private static Task UpAsync(WireNode node)
    {
        var up = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Akka.Cluster.Cluster.Get(node.System).RegisterOnMemberUp(up.SetResult);
        return up.Task;
    }

    private void Host(WireNode node, string name) => node.System.ActorOf(
        ClusterSingletonManager.Props(
            Props.Create(() => new Echo(_begun.Writer, name)), PoisonPill.Instance, ClusterSingletonManagerSettings.Create(node.System)),
        "singleton");

    private sealed class Echo : ReceiveActor
    {
        public Echo(ChannelWriter<string> begun, string name)
        {
            begun.TryWrite(name);
            ReceiveAny(message => Sender.Tell(message));
        }
    }
}
