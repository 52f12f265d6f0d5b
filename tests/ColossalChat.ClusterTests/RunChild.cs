using Akka.Actor;

namespace ColossalChat.Cluster.Tests;

/// <summary>In the place of a run's supervisor: hands its child all that it is told, and the test all that the child says.</summary>
internal sealed class RunChild : ReceiveActor
{
    public RunChild(IActorRef test, Props props)
    {
        var child = Context.ActorOf(props);
        ReceiveAny(message => (Sender.Equals(test) ? child : test).Forward(message));
    }

    // As the run's supervisor does: what fails is not there any more.
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(_ => Directive.Stop);
}
