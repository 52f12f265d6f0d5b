using System.Threading.Channels;
using Akka.Actor;
using Akka.Configuration;
using Akka.Event;
using Akka.Remote;
using Akka.Serialization;

namespace ColossalChat.Cluster.Tests;

/// <summary>An actor system that listens on this machine, with an actor that collects what it is told, and the log's lines from warnings on.</summary>
internal sealed class WireNode : IAsyncDisposable
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(30);

    private readonly Channel<object> _received = Channel.CreateUnbounded<object>();
    private readonly Channel<LogEvent> _log = Channel.CreateUnbounded<LogEvent>();
    private readonly Channel<object> _ends = Channel.CreateUnbounded<object>();

    /// <param name="hocon">Settings above those of a node that listens.</param>
    public WireNode(string hocon)
    {
        System = (ExtendedActorSystem)ActorSystem.Create("wire", ConfigurationFactory.ParseString(hocon).WithFallback(ConfigurationFactory.ParseString("""
            akka {
              loglevel = WARNING
              stdout-loglevel = OFF
              loggers = []
              actor.provider = remote
              remote.dot-netty.tcp { hostname = 127.0.0.1, port = 0 }
            }
            """)));
        Listener = Collect("listener", _received);
        System.EventStream.Subscribe(Collect("log", _log), typeof(Warning));
        System.EventStream.Subscribe(Collect("errors", _log), typeof(Error));
        System.EventStream.Subscribe(Collect("ends", _ends), typeof(DisassociatedEvent));
        System.EventStream.Subscribe(Collect("quarantines", _ends), typeof(QuarantinedEvent));
    }

    public ExtendedActorSystem System { get; }

    /// <summary>Collects what it is told.</summary>
    public IActorRef Listener { get; }

    /// <summary>Associations that ended.</summary>
    public int Ends => _ends.Reader.Count;

    /// <summary>The next message of the listener.</summary>
    public Task<object> ReceiveAsync() => _received.Reader.ReadAsync().AsTask().WaitAsync(s_longest);

    /// <summary>The next line of the log.</summary>
    public async Task<string> LogLineAsync() => (await _log.Reader.ReadAsync().AsTask().WaitAsync(s_longest)).Message.ToString()!;

    /// <summary>Lines of the log that nobody has read.</summary>
    public int LogLines => _log.Reader.Count;

    /// <summary>The listener as another node knows it.</summary>
    public IActorRef SeenFrom(WireNode other) =>
        other.System.Provider.ResolveActorRef(Listener.Path.ToSerializationFormatWithAddress(System.Provider.DefaultAddress));

    public async ValueTask DisposeAsync() => await System.Terminate();

    private IActorRef Collect<T>(string name, Channel<T> into) =>
        System.ActorOf(Props.Create(() => new Collector<T>(into.Writer)), name);

    private sealed class Collector<T> : ReceiveActor
    {
        public Collector(ChannelWriter<T> into) => Receive<T>(message => into.TryWrite(message));
    }
}

/// <summary>A message of whatever bytes and manifest.</summary>
internal sealed record RogueMessage(string Manifest, byte[] Bytes);

/// <summary>Another one, with a serialiser identifier that nobody else has.</summary>
internal sealed record StrangeMessage(string Manifest, byte[] Bytes);

/// <summary>Writes whatever it is given, under our serialiser's identifier.</summary>
internal sealed class RogueSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    public override int Identifier => FlowSerializer.Id;

    public override string Manifest(object o) => ((RogueMessage)o).Manifest;

    public override byte[] ToBinary(object obj) => ((RogueMessage)obj).Bytes;

    public override object FromBinary(byte[] bytes, string manifest) => new RogueMessage(manifest, bytes);
}

/// <summary>Writes under an identifier that no other node knows.</summary>
internal sealed class StrangeSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    public override int Identifier => 4999;

    public override string Manifest(object o) => ((StrangeMessage)o).Manifest;

    public override byte[] ToBinary(object obj) => ((StrangeMessage)obj).Bytes;

    public override object FromBinary(byte[] bytes, string manifest) => new StrangeMessage(manifest, bytes);
}

/// <summary>What a serialiser that trusts type names would make.</summary>
public sealed class Gadget
{
    /// <summary>How many were made in this process.</summary>
    public static int Made { get; private set; }

    public Gadget() => Made++;

    public string Command { get; set; } = "";
}
