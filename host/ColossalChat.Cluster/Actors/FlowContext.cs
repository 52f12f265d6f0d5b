using Akka.Actor;

namespace ColossalChat.Cluster;

/// <summary>What all actors of one attempt of a run share.</summary>
/// <param name="Definition">The run.</param>
/// <param name="Run">Its supervisor.</param>
/// <param name="Epoch">Which attempt, from 1.</param>
/// <param name="Cancel">Cancelled when the attempt is given up or over.</param>
/// <param name="Stop">
/// Cancelled when the user wants the run to end after the running iteration. Not a message: one would wait behind whatever
/// the mailboxes hold, and short iterations would pass meanwhile.
/// </param>
internal sealed record FlowContext(RunDefinition Definition, IActorRef Run, long Epoch, CancellationToken Cancel, CancellationToken Stop)
{
    /// <summary>Keeps samples on disk; nobody when the run keeps none.</summary>
    public IActorRef Journal { get; init; } = ActorRefs.Nobody;

    /// <summary>Tells the user.</summary>
    public void Note(string kind, string message) => Run.Tell(new FlowNoted(Epoch, kind, message));
}
