using Akka.Actor;

namespace ColossalChat.Cluster;

/// <summary>What all actors of one attempt of a run share.</summary>
/// <param name="Definition">The run.</param>
/// <param name="Run">Its supervisor.</param>
/// <param name="Epoch">Which attempt, from 1.</param>
/// <param name="Cancel">Cancelled when the attempt is given up or over.</param>
internal sealed record FlowContext(RunDefinition Definition, IActorRef Run, long Epoch, CancellationToken Cancel)
{
    /// <summary>Tells the user.</summary>
    public void Note(string kind, string message) => Run.Tell(new FlowNoted(Epoch, kind, message));
}
