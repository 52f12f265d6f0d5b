namespace ColossalChat.Cluster;

/// <summary>
/// A message that may cross to another node. <see cref="FlowMessages"/> has an entry for each; what is not marked is refused by
/// every serialiser.
/// </summary>
internal interface IWireMessage;

/// <summary>
/// A message in its bytes. It goes to another node in the message's place and arrives there as that message, so that whoever
/// looks at the size first does not pay for the bytes twice. Never sent within a process.
/// </summary>
/// <param name="Manifest">Names the message's type and version.</param>
/// <param name="Bytes">The whole frame. Nobody changes them.</param>
internal sealed record PackedMessage(string Manifest, byte[] Bytes)
{
    /// <summary>False for what must go through the blob lane, as a <see cref="Parcel"/>.</summary>
    public bool FitsMessage => Bytes.Length <= WireLimits.MessageBytes;
}
