using Akka.Actor;
using Akka.Cluster;
using AkkaCluster = Akka.Cluster.Cluster;

namespace ColossalChat.Cluster;

/// <summary>MembersActor -> RunActor: a node is there, or can be reached again.</summary>
internal sealed record NodeCame(RunNode Node);

/// <summary>MembersActor -> RunActor: heartbeats of a node stay away. It may come back.</summary>
internal sealed record NodeSilent(string Node);

/// <summary>MembersActor -> RunActor: a node is no longer a member, and will not come back under this name.</summary>
internal sealed record NodeGone(string Node);

/// <summary>MembersActor -> RunActor: what a node said about itself and its roles just now.</summary>
internal sealed record NodeReported(NodeCard Card, IReadOnlyDictionary<string, double> Hosted);

/// <summary>Watches the cluster's members and asks each who it is.</summary>
internal sealed class MembersActor : ReceiveActor, IWithTimers
{
    /// <summary>Name of the node actor below <c>/user</c>.</summary>
    public const string NodeActorName = "node";

    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);
    private readonly AkkaCluster _cluster = AkkaCluster.Get(Context.System);
    private readonly Dictionary<UniqueAddress, RunNode?> _nodes = [];
    private readonly HashSet<UniqueAddress> _silent = [];

    public MembersActor()
    {
        Receive<ClusterEvent.MemberUp>(up => Ask(up.Member.UniqueAddress));

        // While a silent node holds up its full membership, a new one can take roles that need no vote.
        Receive<ClusterEvent.MemberWeaklyUp>(up => Ask(up.Member.UniqueAddress));
        Receive<ClusterEvent.MemberRemoved>(removed => Remove(removed.Member.UniqueAddress));
        Receive<ClusterEvent.UnreachableMember>(unreachable => Silence(unreachable.Member.UniqueAddress));
        Receive<ClusterEvent.ReachableMember>(reachable => ComeBack(reachable.Member.UniqueAddress));
        Receive<ClusterEvent.IMemberEvent>(_ => { });
        Receive<NodeDescribed>(Describe);
        Receive<NodeLeaving>(Context.Parent.Forward);
        Receive<Poll>(_ =>
        {
            foreach (var address in _nodes.Keys)
                Ask(address);
        });
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart()
    {
        _cluster.Subscribe(
            Self, ClusterEvent.SubscriptionInitialStateMode.InitialStateAsEvents,
            typeof(ClusterEvent.IMemberEvent), typeof(ClusterEvent.UnreachableMember), typeof(ClusterEvent.ReachableMember));
        Timers.StartPeriodicTimer("poll", new Poll(), Beat);
    }

    protected override void PostStop() => _cluster.Unsubscribe(Self);

    private void Ask(UniqueAddress address)
    {
        _nodes.TryAdd(address, null);
        Context.ActorSelection($"{address.Address}/user/{NodeActorName}").Tell(new DescribeNode());
    }

    private void Describe(NodeDescribed described)
    {
        var here = Sender.Path.Address.HasLocalScope ? _cluster.SelfAddress : Sender.Path.Address;
        var address = _nodes.Keys.FirstOrDefault(known => known.Address == here && known.Uid == described.Uid);
        if (address is null)
            return;
        if (_nodes[address] is { } known && known.Card.Name == described.Card.Name)
        {
            _nodes[address] = known with { Card = described.Card };
            Context.Parent.Tell(new NodeReported(described.Card, described.Hosted));
            return;
        }

        var node = _nodes[address] = new RunNode(described.Card, Sender);
        if (!_silent.Contains(address))
            Context.Parent.Tell(new NodeCame(node));
    }

    private void Silence(UniqueAddress address)
    {
        _silent.Add(address);
        if (_nodes.GetValueOrDefault(address) is { } node)
            Context.Parent.Tell(new NodeSilent(node.Card.Name));
    }

    private void ComeBack(UniqueAddress address)
    {
        if (_silent.Remove(address) && _nodes.GetValueOrDefault(address) is { } node)
            Context.Parent.Tell(new NodeCame(node));
    }

    private void Remove(UniqueAddress address)
    {
        _silent.Remove(address);
        if (_nodes.Remove(address, out var node) && node is not null)
            Context.Parent.Tell(new NodeGone(node.Card.Name));
    }

    private sealed record Poll;
}
