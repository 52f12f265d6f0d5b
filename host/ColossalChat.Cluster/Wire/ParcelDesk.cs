using Akka.Actor;
using Akka.Cluster;
using ColossalChat.Contracts;
using AkkaCluster = Akka.Cluster.Cluster;

namespace ColossalChat.Cluster;

/// <summary>
/// Keeps what was sent until its recipient has it, is gone or has had its time, and has what comes fetched: by one actor for each node, with a
/// thread of its own, so that parcels of a node that does not answer hold up none of the others'. It waits for nothing itself.
/// </summary>
internal sealed class ParcelDesk : ReceiveActor, IWithTimers
{
    private readonly FlowSerializer _serializer;
    private readonly IBlobLane _lane;
    private readonly TimeSpan _longest;
    private readonly AkkaCluster? _cluster = ((ExtendedActorSystem)Context.System).Provider is IClusterActorRefProvider ? AkkaCluster.Get(Context.System) : null;
    private readonly Dictionary<long, Sent> _sent = [];
    private readonly Dictionary<Address, Route> _routes = [];
    private readonly HashSet<Address> _gone = [];

    /// <param name="serializer">Reads messages.</param>
    /// <param name="lane">Carries them.</param>
    /// <param name="longest">
    /// How long what was sent is kept. A parcel that is lost on the way, or comes to an actor that is not there any more, is
    /// never taken; what is asked for again is another parcel.
    /// </param>
    public ParcelDesk(FlowSerializer serializer, IBlobLane lane, TimeSpan longest)
    {
        (_serializer, _lane, _longest) = (serializer, lane, longest);
        Receive<Sent>(Keep);
        Receive<ParcelTaken>(taken => Drop(taken.Number, Sender.Path.Address));
        Receive<Overdue>(overdue => Drop(overdue.Sent));
        Receive<Delivery>(Fetch);
        Receive<ClusterEvent.UnreachableMember>(silent => GiveUp(silent.Member.Address));
        Receive<ClusterEvent.MemberRemoved>(removed => Forget(removed.Member.Address));
        Receive<ClusterEvent.IMemberEvent>(came => _gone.Remove(came.Member.Address));
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart() =>
        _cluster?.Subscribe(Self, ClusterEvent.SubscriptionInitialStateMode.InitialStateAsEvents, typeof(ClusterEvent.IMemberEvent), typeof(ClusterEvent.UnreachableMember));

    protected override void PostStop() => _cluster?.Unsubscribe(Self);

    private void Keep(Sent sent)
    {
        if (_gone.Contains(sent.To))
        {
            Withdraw(sent.Parcel);
            return;
        }

        _sent[sent.Parcel.Number] = sent;
        Timers.StartSingleTimer(sent.Parcel.Number, new Overdue(sent), _longest);
    }

    // Nobody but its recipient's node has a say about a parcel, and nobody about anything else in the lane.
    private void Drop(long number, Address by)
    {
        if (_sent.TryGetValue(number, out var sent) && sent.To == by)
            Drop(sent);
    }

    private void Drop(Sent sent)
    {
        _sent.Remove(sent.Parcel.Number);
        Timers.Cancel(sent.Parcel.Number);
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

    // What it sent is asked for again when it answers. The fetcher has said of each parcel that it has that nobody opens it,
    // before it ends.
    private void GiveUp(Address node)
    {
        if (!_routes.Remove(node, out var route))
            return;
        route.Cancel.Cancel();
        route.Fetcher.Tell(PoisonPill.Instance);
    }

    private void Forget(Address node)
    {
        _gone.Add(node);
        GiveUp(node);
        foreach (var sent in _sent.Values.Where(sent => sent.To == node).ToArray())
            Drop(sent);
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

    private sealed record Overdue(Sent Sent);

    private sealed record Route(IActorRef Fetcher, CancellationTokenSource Cancel);
}
