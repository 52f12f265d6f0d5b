using System.Collections.Concurrent;
using System.Runtime.Serialization;
using Akka.Actor;
using Akka.Event;
using Akka.Serialization;

namespace ColossalChat.Cluster;

/// <summary>
/// Stands in the place of the default JSON serialiser, which makes objects of whatever type the wire names, and refuses both
/// ways: a message that has no serialiser of its own neither leaves a process nor comes in. Names each type in the log once.
/// </summary>
/// <param name="system">Whose log is written.</param>
internal class RefusedSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    // Names come from the wire: a few are worth a line, many are not worth the memory.
    private const int MostNames = 100;

    private readonly ConcurrentDictionary<string, bool> _seen = new(StringComparer.Ordinal);

    /// <summary>Akka gives a serialiser its settings where the configuration has any; those of JSON are there by default.</summary>
    /// <param name="system">Whose log is written.</param>
    /// <param name="settings">Of no use here.</param>
    public RefusedSerializer(ExtendedActorSystem system, Akka.Configuration.Config settings)
        : this(system) => _ = settings;

    /// <summary>Identifier of the serialiser whose place it takes.</summary>
    public override int Identifier => 1;

    /// <inheritdoc/>
    public override string Manifest(object o) => "";

    /// <inheritdoc/>
    public override byte[] ToBinary(object obj) => throw Refusal("be sent", obj.GetType().FullName ?? obj.GetType().Name);

    /// <inheritdoc/>
    public override object FromBinary(byte[] bytes, string manifest) => throw Refusal("be received", manifest);

    private SerializationException Refusal(string what, string type)
    {
        var name = type.Length <= 128 ? type : type[..128] + "...";
        var refusal = new SerializationException($"A message of type '{name}' was to {what} with serialiser {Identifier}, which is off: only messages of the wire format go between nodes.");
        if (_seen.Count < MostNames && _seen.TryAdd(name, true))
            Logging.GetLogger(system, GetType()).Warning(refusal.Message);
        return refusal;
    }
}

/// <summary>
/// Stands in the place of the serialiser of remote deployment, by which any node could make another create an actor of any type. Nothing
/// here deploys to other nodes that way.
/// </summary>
/// <param name="system">Whose log is written.</param>
internal sealed class RefusedDeployment(ExtendedActorSystem system) : RefusedSerializer(system)
{
    /// <inheritdoc/>
    public override int Identifier => 3;
}
