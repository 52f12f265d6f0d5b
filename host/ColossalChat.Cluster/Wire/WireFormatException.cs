using System.Runtime.Serialization;

namespace ColossalChat.Cluster;

/// <summary>
/// Bytes are not what they should be. The only failure of reading them: the message names what was read, the field, its value
/// and what is allowed. A SerializationException, because that is what remoting takes for the fault of one message; any other
/// exception ends the association with the whole node.
/// </summary>
/// <param name="message">What is wrong.</param>
internal sealed class WireFormatException(string message) : SerializationException(message);
