using System.Collections.Concurrent;
using Akka.Actor;

namespace ColossalChat.Cluster;

/// <summary>What all actors of one attempt of a run share.</summary>
/// <param name="Definition">The run.</param>
/// <param name="Run">Its supervisor.</param>
/// <param name="Iteration">Who leads the attempt.</param>
/// <param name="Epoch">Which attempt, from 1.</param>
/// <param name="Cancel">Cancelled when the attempt is given up or over.</param>
/// <param name="Stop">
/// Cancelled when the user wants the run to end after the running iteration. Not a message: one would wait behind whatever
/// the mailboxes hold, and short iterations would pass meanwhile.
/// </param>
internal sealed record FlowContext(
    RunDefinition Definition, IActorRef Run, IActorRef Iteration, long Epoch, CancellationToken Cancel, CancellationToken Stop)
{
    /// <summary>Keeps samples on disk; nobody when the run keeps none.</summary>
    public IActorRef Journal { get; init; } = ActorRefs.Nobody;

    /// <summary>Calls that wait, by slot, for whoever watches the node; null where nobody does.</summary>
    public ConcurrentDictionary<string, double>? Queues { get; init; }

    /// <summary>Address where trainer ranks of several nodes meet; empty when they are all here.</summary>
    public string Meet { get; init; } = "";

    /// <summary>Sends a message that may be large; to another node it goes through the lane then.</summary>
    public void Post(IActorRef to, IWireMessage message)
    {
        if (Definition.Parcels is { } parcels)
            parcels.Send(to, message);
        else
            to.Tell(message);
    }

    /// <summary>Tells the user.</summary>
    public void Note(string kind, string message) => Run.Tell(new FlowNoted(Epoch, kind, message));
}
