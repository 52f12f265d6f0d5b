using Akka.Actor;

namespace ColossalChat.Cluster;

/// <summary>Reads messages: values, and the actors that they name.</summary>
/// <param name="bytes">One whole frame.</param>
/// <param name="what">The message's name.</param>
/// <param name="provider">Finds actors.</param>
internal sealed class FlowReader(ReadOnlyMemory<byte> bytes, string what, IActorRefProvider provider) : WireReader(bytes, what)
{
    private readonly List<IActorRef> _known = [];

    /// <summary>An actor of any node. Nothing is sent there before somebody tells it something.</summary>
    public IActorRef Ref(string field)
    {
        var number = Varint(field);
        if (number < (ulong)_known.Count)
            return _known[(int)number];
        if (number > (ulong)_known.Count || number >= WireLimits.ActorRefs)
            throw Refusal($"{field} is actor {number} of {_known.Count} so far; at most {WireLimits.ActorRefs}");
        var path = Text(field, WireLimits.ActorPathBytes);
        if (path.Length > 0 && !ActorPath.TryParse(path, out _))
            throw Refusal($"{field} is '{path}', which is no actor's path");
        var actor = path.Length == 0 ? ActorRefs.Nobody : provider.ResolveActorRef(path);
        _known.Add(actor);
        return actor;
    }

    /// <summary>Actors in order.</summary>
    public IActorRef[] Refs(string field) => List(field, 1, _ => Ref(field));
}
