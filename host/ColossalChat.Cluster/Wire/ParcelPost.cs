using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Sends messages to other nodes: small ones as they are, large ones through the blob lane, so that none holds up the
/// heartbeats behind it. In the same process a message goes by reference.
/// </summary>
public sealed class ParcelPost
{
    // Far above the time that the largest parcel takes on a slow network behind a few others.
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(5);
    private readonly FlowSerializer _serializer;
    private readonly IBlobLane _lane;
    private readonly IActorRef _desk;
    private long _number;

    /// <summary>Opens a post office of an actor system, which needs <see cref="WireHocon.Text"/> in its configuration.</summary>
    /// <param name="system">Where messages go out.</param>
    /// <param name="lane">Carries the large ones.</param>
    public ParcelPost(ActorSystem system, IBlobLane lane)
        : this(system, lane, s_longest)
    {
    }

    /// <summary>The same, for a test that does not wait for minutes.</summary>
    internal ParcelPost(ActorSystem system, IBlobLane lane, TimeSpan longest)
    {
        (_serializer, _lane) = (new FlowSerializer((ExtendedActorSystem)system), lane);
        var serializer = _serializer;
        _desk = system.ActorOf(Props.Create(() => new ParcelDesk(serializer, lane, longest)), "parcels");
    }

    /// <summary>Sends a message.</summary>
    internal void Send(IActorRef to, IWireMessage message)
    {
        if (to is IInternalActorRef { IsLocal: true })
        {
            to.Tell(message);
            return;
        }

        var packed = _serializer.Pack(message);
        if (packed.FitsMessage)
        {
            to.Tell(packed);
            return;
        }

        var parcel = new Parcel(Interlocked.Increment(ref _number), packed.Manifest, Publish(packed));

        // Before it is on its way: nobody can have taken a parcel that the desk does not know.
        _desk.Tell(new ParcelDesk.Sent(parcel, to.Path.Address));
        to.Tell(parcel, _desk);
    }

    /// <summary>Fetches a parcel's message and gives it to its recipient. One that is lost on the way is asked for again.</summary>
    internal void Open(Parcel parcel, IActorRef recipient, IActorRef sender) => _desk.Tell(new ParcelDesk.Delivery(parcel, recipient, sender));

    private List<BlobReference> Publish(PackedMessage packed)
    {
        var pieces = new List<BlobReference>();
        for (var start = 0; start < packed.Bytes.Length; start += WireLimits.PieceBytes)
            pieces.Add(_lane.Publish($"parcel.{packed.Manifest}", packed.Bytes.AsSpan(start, Math.Min(WireLimits.PieceBytes, packed.Bytes.Length - start))));
        return pieces;
    }
}
