using System.Runtime.Serialization;
using Akka.Actor;
using Akka.Serialization;

namespace ColossalChat.Cluster;

/// <summary>
/// Turns messages into bytes and back, for remoting and for the blob lane. A message is a manifest from
/// <see cref="FlowMessages"/>, and a frame that begins with <see cref="WireWriter.HeadByte"/>. No type is ever looked up by a name that came
/// over the wire.
/// </summary>
/// <param name="system">Its actors are found by path.</param>
internal sealed class FlowSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    /// <summary>Never used again for another serialiser.</summary>
    public const int Id = 4711;

    /// <inheritdoc/>
    public override int Identifier => Id;

    /// <summary>
    /// A message in its bytes, whatever their size: send the result itself when it fits a message, else put
    /// <see cref="PackedMessage.Bytes"/> into the blob lane and send a <see cref="Parcel"/>.
    /// </summary>
    /// <exception cref="SerializationException">The message cannot be written; it says why.</exception>
    public PackedMessage Pack(IWireMessage message) => Serialization.WithTransport(
        system, (Serializer: this, Message: message), static call =>
        {
            var entry = EntryOf(call.Message);
            return new PackedMessage(entry.Manifest, BytesOf(entry, call.Message));
        });

    /// <summary>The message that <see cref="Pack"/> wrote.</summary>
    /// <param name="manifest">The packed message's manifest.</param>
    /// <param name="bytes">Its bytes; those of a parcel have been checked against their hash.</param>
    /// <exception cref="WireFormatException">There is no such manifest, or the bytes are something else.</exception>
    public IWireMessage Unpack(string manifest, ReadOnlyMemory<byte> bytes)
    {
        if (!FlowMessages.ByManifest.TryGetValue(manifest, out var entry))
            throw new WireFormatException($"No message has the manifest '{Shown(manifest)}'; run the same version on all nodes.");
        var from = new FlowReader(bytes, entry.Type.Name, system.Provider);
        from.Head();
        var message = entry.Read(from);
        from.End();
        return (IWireMessage)message;
    }

    /// <inheritdoc/>
    public override string Manifest(object o) => o is PackedMessage packed ? packed.Manifest : EntryOf(o).Manifest;

    /// <inheritdoc/>
    public override byte[] ToBinary(object obj)
    {
        var (name, bytes) = obj is PackedMessage packed
            ? (packed.Manifest, packed.Bytes)
            : (obj.GetType().Name, BytesOf(EntryOf(obj), obj));
        return bytes.Length <= WireLimits.MessageBytes
            ? bytes
            : throw new SerializationException($"{name} takes {bytes.Length} bytes; a message has at most {WireLimits.MessageBytes}. Send it through the blob lane.");
    }

    /// <inheritdoc/>
    public override object FromBinary(byte[] bytes, string manifest) => bytes.Length <= WireLimits.MessageBytes
        ? Unpack(manifest, bytes)
        : throw new WireFormatException($"A message '{Shown(manifest)}' takes {bytes.Length} bytes; at most {WireLimits.MessageBytes} are allowed.");

    private static WireMessage EntryOf(object message) => FlowMessages.ByType.TryGetValue(message.GetType(), out var entry)
        ? entry
        : throw new SerializationException($"{message.GetType().FullName} has no entry in {nameof(FlowMessages)} and cannot leave its process.");

    private static byte[] BytesOf(WireMessage entry, object message)
    {
        using var to = new FlowWriter();
        to.Head();
        try
        {
            entry.Write(to, message);
        }
        catch (Exception error) when (error is not SerializationException)
        {
            // Remoting takes any other exception for the end of the association with the whole node.
            throw new SerializationException($"{entry.Type.Name} cannot be written: {error.Message}", error);
        }

        return to.ToArray();
    }

    // A manifest from the wire may be anything.
    private static string Shown(string manifest) => manifest.Length <= 32 ? manifest : manifest[..32] + "...";
}
