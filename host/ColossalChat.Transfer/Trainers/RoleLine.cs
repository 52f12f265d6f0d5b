using System.Buffers.Binary;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>What a frame between a role and its caller means.</summary>
internal enum RoleFrame : byte
{
    /// <summary>Caller: a request; on the line for calls its first byte is a <see cref="TrainerCall"/>.</summary>
    Call,

    /// <summary>Role: the call goes on.</summary>
    Busy,

    /// <summary>Role: the call ended; the body is its result.</summary>
    Done,

    /// <summary>Role: the call failed, and why.</summary>
    Failed,

    /// <summary>Caller: the saved tensor that was asked for.</summary>
    Tensor,

    /// <summary>Caller: the saved document that was asked for.</summary>
    Document,

    /// <summary>Role: asks for a saved tensor; the caller answers <see cref="Tensor"/> or <see cref="Failed"/>.</summary>
    ReadTensor,

    /// <summary>Role: asks for a saved document; the caller answers <see cref="Document"/> or <see cref="Failed"/>.</summary>
    ReadDocument,
}

/// <summary>
/// Frames between two members of a group: kind, length, body. One side talks at a time. The group breaks when a side dies,
/// so a wait needs a limit only where the other side may hang.
/// </summary>
/// <param name="group">Of two members; disposed with this.</param>
internal sealed class RoleLine(IPeerGroup group) : IDisposable
{
    private const int HeaderBytes = 1 + sizeof(long);
    private static readonly TimeSpan s_forever = TimeSpan.FromDays(7);
    private readonly IPeerLink _link = group.LinkTo(1 - group.Place.Rank);

    /// <summary>Why nothing will come any more; null while the other side is there.</summary>
    public string? BrokenBy => group.BrokenBy ?? (group.Gone.Count > 0 ? "The other side is gone." : null);

    /// <summary>Meets the other side.</summary>
    /// <param name="links">Where.</param>
    /// <param name="name">The same at both sides, and no other pair's.</param>
    /// <param name="isCaller">Callers are rank 0.</param>
    /// <param name="deadline">Longest wait.</param>
    public static RoleLine Meet(IPeerLinks links, string name, bool isCaller, TimeSpan deadline) =>
        new(links.Join(new RankPlace(name, isCaller ? 0 : 1, 2), deadline));

    /// <summary>Breaks the line for both sides.</summary>
    public void Abort(string reason) => group.Abort(reason);

    /// <summary>Sends a frame.</summary>
    public void Send(RoleFrame kind, ReadOnlySpan<byte> body)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        header[0] = (byte)kind;
        BinaryPrimitives.WriteInt64LittleEndian(header[1..], body.Length);
        _link.Send(header, s_forever);
        if (body.Length > 0)
            _link.Send(body, s_forever);
    }

    /// <summary>Waits for a frame.</summary>
    /// <param name="limit">Longest wait for its beginning; null for as long as it takes.</param>
    /// <exception cref="IOException">The other side is gone.</exception>
    /// <exception cref="TimeoutException">Nothing came within the limit.</exception>
    public (RoleFrame Kind, byte[] Body) Receive(TimeSpan? limit = null)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        _link.Receive(header, limit ?? s_forever);
        var body = GC.AllocateUninitializedArray<byte>(checked((int)BinaryPrimitives.ReadInt64LittleEndian(header[1..])));
        if (body.Length > 0)
            _link.Receive(body, s_forever);
        return ((RoleFrame)header[0], body);
    }

    /// <inheritdoc/>
    public void Dispose() => group.Dispose();
}
