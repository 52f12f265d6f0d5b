using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Sends messages to other nodes: small ones as they are, large ones through the blob lane, so that none holds up the
/// heartbeats behind it. In the same process a message goes by reference.
/// </summary>
public sealed class ParcelPost
{
    private readonly FlowSerializer _serializer;
    private readonly IBlobLane _lane;
    private readonly IActorRef _desk;

    /// <summary>Opens a post office of an actor system, which needs <see cref="WireHocon.Text"/> in its configuration.</summary>
    /// <param name="system">Where messages go out.</param>
    /// <param name="lane">Carries the large ones.</param>
    public ParcelPost(ActorSystem system, IBlobLane lane)
    {
        (_serializer, _lane) = (new FlowSerializer((ExtendedActorSystem)system), lane);
        var serializer = _serializer;
        _desk = system.ActorOf(Props.Create(() => new Desk(serializer, lane)).WithDispatcher(RunHocon.IoDispatcher), "parcels");
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
            to.Tell(packed);
        else
            to.Tell(new Parcel(packed.Manifest, _lane.Publish($"parcel.{packed.Manifest}", packed.Bytes)), _desk);
    }

    /// <summary>Fetches a parcel's message and gives it to its recipient. One that is lost on the way is asked for again.</summary>
    internal void Open(Parcel parcel, IActorRef recipient, IActorRef sender) => _desk.Tell(new Delivery(parcel, recipient, sender));

    private sealed record Delivery(Parcel Parcel, IActorRef Recipient, IActorRef Sender);

    private sealed class Desk : ReceiveActor
    {
        private readonly ILoggingAdapter _log = Context.GetLogger();

        public Desk(FlowSerializer serializer, IBlobLane lane)
        {
            Receive<ParcelTaken>(taken => lane.Withdraw(taken.Blob));
            Receive<Delivery>(delivery =>
            {
                var parcel = delivery.Parcel;
                try
                {
                    var bytes = GC.AllocateUninitializedArray<byte>(checked((int)parcel.Blob.Bytes));
                    lane.Fetch(parcel.Blob, bytes, CancellationToken.None);
                    delivery.Recipient.Tell(serializer.Unpack(parcel.Manifest, bytes), delivery.Sender);
                    delivery.Sender.Tell(new ParcelTaken(parcel.Blob));
                }
                catch (Exception error) when (error is IOException or WireFormatException)
                {
                    _log.Warning("A parcel of {0} bytes from {1} was not delivered: {2}", parcel.Blob.Bytes, delivery.Sender.Path, error.Message);
                }
            });
        }
    }
}
