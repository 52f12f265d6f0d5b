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
        var actor = path.Length == 0 ? ActorRefs.Nobody : Found(path)
            ?? throw Refusal($"{field} is '{path}', which is no actor's path of a system like {provider.DefaultAddress}");
        _known.Add(actor);
        return actor;
    }

    /// <summary>Actors in order.</summary>
    public IActorRef[] Refs(string field) => List(field, 1, _ => Ref(field));

    private IActorRef? Found(string path)
    {
        if (path.AsSpan().Count('/') > WireLimits.ActorPathSlashes)
            return null;
        try
        {
            return ActorPath.TryParseAddress(path, out var address) && IsOurs(address) ? provider.ResolveActorRef(path) : null;
        }
        catch (FormatException)
        {
            // The number after the last element of the path is none.
            return null;
        }
    }

    // All nodes of a cluster have the same system name and protocol. A path to anything else would be taken, with a line in the
    // log, and lead nowhere.
    private bool IsOurs(Address address) =>
        address.System == provider.DefaultAddress.System
        && address.Protocol == provider.DefaultAddress.Protocol
        && address.HasGlobalScope == provider.DefaultAddress.HasGlobalScope;
}
