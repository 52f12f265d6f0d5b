using System.Net;
using System.Net.Sockets;
using System.Text;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>The two connections to another rank.</summary>
internal sealed class PeerLines(Guid id) : IDisposable
{
    /// <summary>The other's id in this meeting.</summary>
    public Guid Id => id;

    public Wire? Data { get; private set; }

    public Wire? Control { get; private set; }

    public bool IsComplete => Data is not null && Control is not null;

    /// <summary>False once the other end has closed; a rank that waits says nothing, so readable means closed unless bytes are there.</summary>
    public bool IsAlive => IsOpen(Data) && IsOpen(Control);

    public void Set(LinePurpose purpose, Wire wire)
    {
        if (purpose == LinePurpose.Data)
            (Data, _) = (wire, Close(Data));
        else
            (Control, _) = (wire, Close(Control));
    }

    public void Dispose()
    {
        Data?.Dispose();
        Control?.Dispose();
    }

    private static bool Close(Wire? wire)
    {
        wire?.Dispose();
        return wire is not null;
    }

    private static bool IsOpen(Wire? wire) => wire is null || wire.HasBytes || !wire.Socket.Poll(0, SelectMode.SelectRead) || wire.Socket.Available > 0;
}

/// <summary>Calls ranks by their cards.</summary>
internal sealed class Caller(RankPlace place, Guid id, TlsIdentity? identity)
{
    private const int LongestText = 2048;
    // Long, because giving up on a rank that is only slow makes all of them meet anew; one that is gone closes at once.
    private static readonly TimeSpan s_answer = TimeSpan.FromSeconds(30);

    /// <summary>Both connections to a rank; null when it is not there, or no longer.</summary>
    /// <exception cref="ArgumentException">It refused us for good.</exception>
    public PeerLines? Call(PeerCard card, Deadline deadline)
    {
        var lines = new PeerLines(card.Id);
        foreach (var purpose in (LinePurpose[])[LinePurpose.Data, LinePurpose.Control])
        {
            var greeting = new Greeting(purpose, place.Group, place.Rank, place.Ranks, id, card.Id);
            var wire = Greet(card, greeting, deadline, out var refusal);
            if (wire is not null)
            {
                lines.Set(purpose, wire);
                continue;
            }

            lines.Dispose();
            return refusal is null ? null : throw new ArgumentException(refusal);
        }

        return lines;
    }

    /// <summary>A connection, with TLS when there is an identity; null when nobody answers, or refuses us.</summary>
    /// <exception cref="PeerRefusedException">We refuse the other end's certificate.</exception>
    public static Wire? Connect(IPEndPoint to, TlsIdentity? identity, Deadline patience)
    {
        if (SocketBytes.Connect(to, patience) is not { } socket)
            return null;
        if (identity is null)
            return new Wire(socket);
        try
        {
            return TlsWire.AsCaller(socket, to.Address.ToString(), identity, patience.Left);
        }
        catch (IOException error) when (error is not PeerRefusedException)
        {
            return null;
        }
    }

    /// <summary>True when whoever hung out this card still waits.</summary>
    public bool IsThere(PeerCard card)
    {
        var probe = new Greeting(LinePurpose.Probe, place.Group, place.Rank, place.Ranks, id, card.Id);
        using var wire = Greet(card, probe, new Deadline(s_answer), out _);
        return wire is not null;
    }

    /// <summary>Answers a greeting; false when the caller is gone.</summary>
    public static bool Reply(Wire wire, Answer answer, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return wire.SendAll([(byte)answer, (byte)(bytes.Length & 255), (byte)(bytes.Length >> 8), .. bytes], new Deadline(s_answer));
    }

    private Wire? Greet(PeerCard card, Greeting greeting, Deadline deadline, out string? refusal)
    {
        refusal = null;
        var patience = new Deadline(deadline.Left < s_answer ? deadline.Left : s_answer);
        if (!IPAddress.TryParse(card.Address, out var address) || Connect(new IPEndPoint(address, card.Port), identity, patience) is not { } wire)
            return null;
        Span<byte> head = stackalloc byte[3];
        if (wire.SendAll(greeting.ToBytes(), patience) && wire.ReceiveAll(head, patience))
        {
            if (head[0] == (byte)Answer.Welcome)
                return wire;
            var text = new byte[Math.Min(LongestText, head[1] | (head[2] << 8))];
            if (head[0] == (byte)Answer.Refused && wire.ReceiveAll(text, patience))
                refusal = Encoding.UTF8.GetString(text);
        }

        wire.Dispose();
        return null;
    }
}
