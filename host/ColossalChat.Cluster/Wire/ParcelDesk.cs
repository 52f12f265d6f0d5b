using Akka.Actor;
using Akka.Cluster;
using ColossalChat.Contracts;
using AkkaCluster = Akka.Cluster.Cluster;

namespace ColossalChat.Cluster;

/// <summary>
/// Keeps what was sent until its recipient has it or is gone, and has what comes fetched: by one actor for each node, with a
/// thread of its own, so that parcels of a node that does not answer hold up none of the others'. It waits for nothing itself.
/// </summary>
internal sealed class ParcelDesk : ReceiveActor
{
    private readonly FlowSerializer _serializer;
    private readonly IBlobLane _lane;
    private readonly AkkaCluster? _cluster = ((ExtendedActorSystem)Context.System).Provider is IClusterActorRefProvider ? AkkaCluster.Get(Context.System) : null;
    private readonly Dictionary<long, Sent> _sent = [];
    private readonly Dictionary<Address, Route> _routes = [];
    private readonly HashSet<Address> _gone = [];

    /// <param name="serializer">Reads messages.</param>
    /// <param name="lane">Carries them.</param>
    public ParcelDesk(FlowSerializer serializer, IBlobLane lane)
    {
        (_serializer, _lane) = (serializer, lane);
        Receive<Sent>(Keep);
        Receive<ParcelTaken>(taken => Drop(taken.Number, Sender.Path.Address));
        Receive<Delivery>(Fetch);
        Receive<ClusterEvent.UnreachableMember>(silent => GiveUp(silent.Member.Address));
        Receive<ClusterEvent.MemberRemoved>(removed => Forget(removed.Member.Address));
        Receive<ClusterEvent.IMemberEvent>(came => _gone.Remove(came.Member.Address));
    }

    protected override void PreStart() =>
        _cluster?.Subscribe(Self, ClusterEvent.SubscriptionInitialStateMode.InitialStateAsEvents, typeof(ClusterEvent.IMemberEvent), typeof(ClusterEvent.UnreachableMember));

    protected override void PostStop()
    {
        _cluster?.Unsubscribe(Self);
        foreach (var node in _routes.Keys.ToArray())
            GiveUp(node);
    }

    private void Keep(Sent sent)
    {
        if (_gone.Contains(sent.To))
            Withdraw(sent.Parcel);
        else
            _sent[sent.Parcel.Number] = sent;
    }

    // Nobody but its recipient's node has a say about a parcel, and nobody about anything else in the lane.
    private void Drop(long number, Address by)
    {
        if (_sent.TryGetValue(number, out var sent) && sent.To == by && _sent.Remove(number))
            Withdraw(sent.Parcel);
    }

    private void Fetch(Delivery delivery)
    {
        var from = delivery.Sender.Path.Address;
        if (!_routes.TryGetValue(from, out var route))
        {
            var (serializer, lane, cancel) = (_serializer, _lane, new CancellationTokenSource());
            var fetcher = Context.ActorOf(Props.Create(() => new ParcelFetcher(serializer, lane, cancel)).WithDispatcher(RunHocon.ParcelDispatcher));
            route = _routes[from] = new Route(fetcher, cancel);
        }

        route.Fetcher.Tell(delivery);
    }

    // What it sent is asked for again when it answers.
    private void GiveUp(Address node)
    {
        if (!_routes.Remove(node, out var route))
            return;
        route.Cancel.Cancel();
        Context.Stop(route.Fetcher);
    }

    private void Forget(Address node)
    {
        _gone.Add(node);
        GiveUp(node);
        foreach (var sent in _sent.Values.Where(sent => sent.To == node).ToArray())
            Drop(sent.Parcel.Number, node);
    }

    private void Withdraw(Parcel parcel)
    {
        foreach (var piece in parcel.Pieces)
            _lane.Withdraw(piece);
    }

    /// <summary>A parcel was published for somebody.</summary>
    internal sealed record Sent(Parcel Parcel, Address To);

    /// <summary>A parcel came.</summary>
    internal sealed record Delivery(Parcel Parcel, IActorRef Recipient, IActorRef Sender);

    private sealed record Route(IActorRef Fetcher, CancellationTokenSource Cancel);
}
