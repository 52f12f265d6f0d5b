using Akka.Actor;
using Akka.Cluster.Tools.Singleton;
using AkkaCluster = Akka.Cluster.Cluster;

namespace ColossalChat.Cluster;

/// <summary>Starts nodes of runs.</summary>
public static class RunNodes
{
    /// <summary>Role of nodes that may lead a run.</summary>
    public const string CoordinatorRole = "coordinator";

    /// <summary>
    /// Joins a cluster and hosts what is wanted there. The actor system must have <see cref="NodeHocon.Settings"/> in its
    /// configuration, and no seed nodes. Without any it begins a cluster of its own.
    /// </summary>
    /// <param name="system">Where the actors live.</param>
    /// <param name="node">What it hosts.</param>
    /// <param name="coordinator">What it needs to lead; null for a node that may not.</param>
    /// <param name="seeds">Addresses to join through, in this order; the node begins a cluster when it is the first and no other answers.</param>
    /// <returns>Lets the node go again.</returns>
    public static NodeHandle Start(ActorSystem system, NodeDefinition node, CoordinatorDefinition? coordinator, IReadOnlyList<string> seeds)
    {
        var actor = system.ActorOf(NodeActor.Of(node).WithDispatcher(RunHocon.IoDispatcher), MembersActor.NodeActorName);
        if (coordinator is not null)
            system.ActorOf(
                ClusterSingletonManager.Props(
                    Props.Create(() => new CoordinatorActor(coordinator)),
                    new CoordinatorActor.HandOver(),
                    ClusterSingletonManagerSettings.Create(system).WithRole(CoordinatorRole)),
                "leader");
        var cluster = AkkaCluster.Get(system);
        if (seeds.Count == 0)
            cluster.Join(cluster.SelfAddress);
        else
            cluster.JoinSeedNodes(seeds.Select(Address.Parse));
        return new NodeHandle(system, actor);
    }
}

/// <summary>A node that was started.</summary>
/// <param name="System">Its actor system.</param>
/// <param name="Actor">Its node actor.</param>
public sealed record NodeHandle(ActorSystem System, IActorRef Actor)
{
    /// <summary>Asks to leave: batches go to others, then the node is no longer a member and the system ends.</summary>
    public void Leave() => Actor.Tell(new NodeActor.WantsToLeave());

    /// <summary>Takes the node out of the cluster at once: it does not work any more.</summary>
    public void Down()
    {
        var cluster = AkkaCluster.Get(System);
        cluster.Down(cluster.SelfAddress);
    }
}
