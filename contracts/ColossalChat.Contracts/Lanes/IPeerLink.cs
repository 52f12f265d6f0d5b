namespace ColossalChat.Contracts;

/// <summary>Makes links between the ranks of a group.</summary>
public interface IPeerLinks
{
    /// <summary>Meets all ranks of a group; returns when every rank has called it.</summary>
    /// <param name="group">Name of the group, unique in the run.</param>
    /// <param name="rank">This rank, from 0.</param>
    /// <param name="ranks">Ranks of the group.</param>
    /// <param name="deadline">Longest wait.</param>
    /// <returns>A link to every rank; null at this rank's own place.</returns>
    /// <exception cref="TimeoutException">Some ranks did not come; the message names them.</exception>
    IReadOnlyList<IPeerLink?> Join(string group, int rank, int ranks, TimeSpan deadline);
}

/// <summary>Ordered bytes in both directions between two ranks.</summary>
public interface IPeerLink : IDisposable
{
    /// <summary>The rank at the other end.</summary>
    int Peer { get; }

    /// <summary>Sends all bytes.</summary>
    /// <exception cref="TimeoutException">Not taken within the deadline; the message names the peer.</exception>
    void Send(ReadOnlySpan<byte> bytes, TimeSpan deadline);

    /// <summary>Fills the span.</summary>
    /// <exception cref="TimeoutException">Not there within the deadline; the message names the peer.</exception>
    void Receive(Span<byte> bytes, TimeSpan deadline);

    /// <summary>Memory that both ends see, or null when they do not share a machine.</summary>
    Memory<byte>? SharedSegment(string name, int bytes);
}
