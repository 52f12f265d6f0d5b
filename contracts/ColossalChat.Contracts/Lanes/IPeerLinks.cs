namespace ColossalChat.Contracts;

/// <summary>One place in a group of ranks that compute together.</summary>
/// <param name="Group">Name of the group, unique in the run, such as <c>policy</c>.</param>
/// <param name="Rank">From 0 to <paramref name="Ranks"/> - 1.</param>
/// <param name="Ranks">Members; 1 or more.</param>
public sealed record RankPlace(string Group, int Rank, int Ranks)
{
    /// <summary>The only member of a group of one.</summary>
    public static RankPlace Alone { get; } = new("alone", 0, 1);
}

/// <summary>Brings the ranks of a group together, wherever they run.</summary>
public interface IPeerLinks
{
    /// <summary>Meets all ranks of a group; returns when every rank has called it. A group that parted may meet again.</summary>
    /// <param name="place">Who comes, and how many are expected.</param>
    /// <param name="deadline">Longest wait.</param>
    /// <exception cref="TimeoutException">Some ranks did not come; the message names them.</exception>
    /// <exception cref="ArgumentException">Members disagree about the group's size, or two claim one rank.</exception>
    IPeerGroup Join(RankPlace place, TimeSpan deadline);
}

/// <summary>A group whose ranks have met. Disposing leaves it: links close, and peers that still need them are told.</summary>
public interface IPeerGroup : IDisposable
{
    /// <summary>This rank's place.</summary>
    RankPlace Place { get; }

    /// <summary>True when all ranks are threads of this process, so that an address means the same to each.</summary>
    bool SharesAddressSpace { get; }

    /// <summary>The link to another rank.</summary>
    /// <param name="peer">Not this rank's own.</param>
    IPeerLink LinkTo(int peer);

    /// <summary>
    /// Memory that all ranks see, zero at first; null when they do not share a machine or it has no room. Every rank asks for the same
    /// segments in the same order; the call returns when all have it. The memory begins at a multiple of 64 bytes and does not move.
    /// </summary>
    /// <param name="name">Unique in the group.</param>
    /// <param name="bytes">The same at every rank; 1 or more.</param>
    /// <param name="deadline">Longest wait for the others.</param>
    /// <exception cref="TimeoutException">Some ranks did not ask for it; the message names them.</exception>
    /// <exception cref="ArgumentException">Ranks disagree about the size, or this rank asked for the name before.</exception>
    /// <exception cref="IOException">A rank is gone, or the group is broken; the message says which or why.</exception>
    ISharedSegment? SharedSegment(string name, long bytes, TimeSpan deadline);

    /// <summary>Ranks known to be gone: their process ended or their link closed. Others may be gone without our knowing yet.</summary>
    IReadOnlyList<int> Gone { get; }

    /// <summary>
    /// Breaks the group for all its ranks: pending and later calls of every link throw <see cref="IOException"/> with this
    /// reason. The first reason that a rank learns stays. Safe from any thread; does not wait for the others.
    /// </summary>
    /// <param name="reason">One sentence.</param>
    void Abort(string reason);

    /// <summary>Why the group is broken; null while it is whole. Cheap enough to ask while spinning.</summary>
    string? BrokenBy { get; }
}

/// <summary>Memory that several ranks see. It stays until the last of them disposes it or dies.</summary>
public interface ISharedSegment : IDisposable
{
    /// <summary>Its size.</summary>
    long Bytes { get; }

    /// <summary>A part of it. Ranks agree among themselves who writes when.</summary>
    /// <param name="offset">From 0.</param>
    /// <param name="length">Ends within the segment.</param>
    Span<byte> Span(long offset, int length);
}

/// <summary>Ordered bytes in both directions between two ranks. One thread sends and one receives at a time.</summary>
public interface IPeerLink
{
    /// <summary>The rank at the other end.</summary>
    int Peer { get; }

    /// <summary>Sends all bytes.</summary>
    /// <exception cref="TimeoutException">Not taken within the deadline; the message names the peer.</exception>
    /// <exception cref="IOException">The other end is gone; the message names the peer.</exception>
    void Send(ReadOnlySpan<byte> bytes, TimeSpan deadline);

    /// <summary>Fills the span.</summary>
    /// <exception cref="TimeoutException">Not there within the deadline; the message names the peer.</exception>
    /// <exception cref="IOException">The other end is gone; the message names the peer.</exception>
    void Receive(Span<byte> bytes, TimeSpan deadline);
}
