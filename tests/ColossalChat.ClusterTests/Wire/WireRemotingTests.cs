using System.Text;
using Akka.Actor;
using CsCheck;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Two actor systems over real remoting: what arrives, and what is refused without harm to what follows.</summary>
[Trait("Category", "CI")]
public sealed class WireRemotingTests : IAsyncLifetime, IAsyncDisposable
{
    // Sends what it likes: its own serialisers, and Akka's default one for all else.
    private const string Rogue = """
        akka.actor {
          serializers {
            rogue = "ColossalChat.Cluster.Tests.RogueSerializer, ColossalChat.ClusterTests"
            strange = "ColossalChat.Cluster.Tests.StrangeSerializer, ColossalChat.ClusterTests"
          }
          serialization-bindings {
            "ColossalChat.Cluster.Tests.RogueMessage, ColossalChat.ClusterTests" = rogue
            "ColossalChat.Cluster.Tests.StrangeMessage, ColossalChat.ClusterTests" = strange
          }
        }
        akka.remote.dot-netty.tcp.maximum-frame-size = 4m
        """;

    private readonly WireNode _node = new(WireHocon.Text);
    private readonly WireNode _peer = new(WireHocon.Text);

    public Task InitializeAsync() => Task.CompletedTask;

    Task IAsyncLifetime.DisposeAsync() => DisposeAsync().AsTask();

    public async ValueTask DisposeAsync()
    {
        await _peer.DisposeAsync();
        await _node.DisposeAsync();
    }

    // The test runner calls the one above.
    ValueTask IAsyncDisposable.DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Every_message_arrives_whole()
    {
        var samples = new WireSamples([_peer.Listener, _node.SeenFrom(_peer), ActorRefs.Nobody]);
        var (pcg, target) = (new PCG(4711, 3), _node.SeenFrom(_peer));
        foreach (var type in FlowMessageTests.MessageTypes)
        {
            var message = (IWireMessage)samples.Of(type).Generate(pcg, null, out _);
            target.Tell(message);
            target.Tell(new FlowSerializer(_peer.System).Pack(message));
            Assert.Equal(Described.Text(message), Described.Text(await _node.ReceiveAsync()));
            Assert.Equal(Described.Text(message), Described.Text(await _node.ReceiveAsync()));
        }

        AssertQuiet(_node, _peer);
    }

    [Fact]
    public async Task Actors_of_a_message_can_be_told_something()
    {
        // As bytes that go through the lane, made where no remoting has set the address.
        var packed = new FlowSerializer(_peer.System).Pack(new PublishWeights(1, 2, 3, [_peer.Listener, _node.SeenFrom(_peer)]));
        var readers = Assert.IsType<PublishWeights>(new FlowSerializer(_node.System).Unpack(packed.Manifest, packed.Bytes)).Readers;
        Assert.Same(_node.Listener, readers[1]);
        readers[0].Tell(new RestartRole());
        Assert.Equal(new RestartRole(), await _peer.ReceiveAsync());
    }

    [Fact]
    public async Task What_is_not_for_the_wire_is_refused_by_its_sender()
    {
        var target = _node.SeenFrom(_peer);
        target.Tell(new FlowNoted(1, "note", new string('x', WireLimits.MessageBytes)));
        await AssertLogged(_peer, "FlowNoted");
        target.Tell(new Gadget());
        await AssertLogged(_peer, "Gadget");
        await AssertNextArrives(_peer);
        AssertQuiet(_node, _peer);
    }

    [Fact]
    public async Task What_comes_in_wrong_is_refused_with_one_line()
    {
        await using var rogue = new WireNode(Rogue);
        await AssertRefused(rogue, new RogueMessage("zz9", [0xC1]), "No message has the manifest 'zz9'");
        await AssertRefused(rogue, new RogueMessage("", [0xC1]), "No message has the manifest ''");
        await AssertRefused(rogue, new RogueMessage("fs1", [0xC1, 0x06]), "FinishStep: Shard takes 1 bytes; 0 are left");
        await AssertRefused(rogue, new RogueMessage("fn1", new byte[WireLimits.MessageBytes + 1]), "takes 262145 bytes; at most 262144");
        await AssertRefused(rogue, new StrangeMessage("fs1", [0xC1]), "4999");
        AssertQuiet(_node, rogue);
    }

    [Fact]
    public async Task A_frame_above_the_frame_size_ends_the_connection_and_not_the_node()
    {
        await using var rogue = new WireNode(Rogue);
        rogue.SeenFrom(_node).Tell(new RestartRole());
        _node.SeenFrom(rogue).Tell(new RogueMessage("fn1", new byte[WireLimits.FrameBytes + 1000]));
        Assert.NotEmpty(await _node.LogLineAsync());
        await AssertNextArrives(_peer);
    }

    [Fact]
    public async Task No_type_is_made_by_its_name()
    {
        await using var rogue = new WireNode(Rogue);
        var made = Gadget.Made;
        var target = _node.SeenFrom(rogue);
        target.Tell(new Gadget { Command = "run" });

        // Ours once, Akka's each time.
        await AssertLogged(_node, "serialiser 1, which is off");
        await AssertLogged(_node, "serialiser 1, which is off");
        target.Tell(new Gadget { Command = "run again" });
        await AssertLogged(_node, "serialiser 1, which is off");
        await AssertNextArrives(_peer);

        // The two of the sender.
        Assert.Equal(made + 2, Gadget.Made);
        AssertQuiet(_node, rogue);
    }

    [Fact]
    public async Task No_actor_is_made_for_another_node()
    {
        await using var rogue = new WireNode(Rogue);
        var deploy = new Deploy(new RemoteScope(_node.System.Provider.DefaultAddress));
        rogue.System.ActorOf(Props.Create<Deployed>().WithDeploy(deploy), "deployed");
        await AssertLogged(_node, "serialiser 3, which is off");
        Assert.Equal(0, Deployed.Made);
    }

    [Fact]
    public void The_settings_give_every_message_its_serialiser()
    {
        Assert.All(FlowMessageTests.MessageTypes, type => Assert.IsType<FlowSerializer>(_node.System.Serialization.FindSerializerForType(type)));
        Assert.IsType<FlowSerializer>(_node.System.Serialization.FindSerializerForType(typeof(PackedMessage)));
        Assert.DoesNotContain("NewtonSoft", _node.System.Settings.Config.GetString("akka.actor.serializers.json"), StringComparison.Ordinal);
        Assert.Equal(WireLimits.FrameBytes, _node.System.Settings.Config.GetByteSize("akka.remote.dot-netty.tcp.maximum-frame-size", null));
        Assert.Throws<System.Runtime.Serialization.SerializationException>(
            () => _node.System.Serialization.Deserialize(Encoding.UTF8.GetBytes("{}"), 1, "System.Object, System.Private.CoreLib"));
    }

    private async Task AssertRefused(WireNode sender, object message, string reason)
    {
        _node.SeenFrom(sender).Tell(message);
        await AssertLogged(_node, reason);

        // Not by the rogue, whose serialiser has our messages' identifier: by bytes that are right.
        _node.SeenFrom(sender).Tell(new RogueMessage("rr1", [WireWriter.HeadByte]));
        Assert.Equal(new RestartRole(), await _node.ReceiveAsync());
    }

    private async Task AssertNextArrives(WireNode sender)
    {
        _node.SeenFrom(sender).Tell(new RestartRole());
        Assert.Equal(new RestartRole(), await _node.ReceiveAsync());
    }

    private static async Task AssertLogged(WireNode node, string part)
    {
        var line = await node.LogLineAsync();
        Assert.True(line.Contains(part, StringComparison.Ordinal), $"'{part}' is not in: {line}");
    }

    private static void AssertQuiet(params WireNode[] nodes) => Assert.All(nodes, node =>
    {
        Assert.Equal(0, node.LogLines);
        Assert.Equal(0, node.Ends);
    });

    private sealed class Deployed : ReceiveActor
    {
        public Deployed() => Made++;

        public static int Made { get; private set; }
    }
}
