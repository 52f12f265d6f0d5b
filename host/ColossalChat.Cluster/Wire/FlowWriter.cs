using Akka.Actor;
using Akka.Serialization;

namespace ColossalChat.Cluster;

/// <summary>Writes messages: values, and the actors that they name.</summary>
internal sealed class FlowWriter : WireWriter
{
    private readonly Dictionary<IActorRef, int> _known = [];

    /// <summary>An actor: its number within the message, and its path when it is new. Nobody has the empty path.</summary>
    public void Ref(IActorRef actor)
    {
        if (_known.TryGetValue(actor, out var number))
        {
            Count(number);
            return;
        }

        if (_known.Count == WireLimits.ActorRefs)
            throw new WireFormatException($"A message names more than {WireLimits.ActorRefs} actors.");
        var path = actor.IsNobody() ? "" : Serialization.SerializedActorPath(actor);
        if (path.Length > WireLimits.ActorPathBytes)
            throw new WireFormatException($"The path '{path}' of an actor has {path.Length} characters; at most {WireLimits.ActorPathBytes} are allowed.");
        Count(_known.Count);
        Text(path);
        _known.Add(actor, _known.Count);
    }

    /// <summary>Actors in order.</summary>
    public void Refs(IReadOnlyCollection<IActorRef> actors) => List(actors, (_, actor) => Ref(actor));
}
