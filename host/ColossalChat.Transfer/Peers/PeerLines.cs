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

    public Socket? Data { get; private set; }

    public Socket? Control { get; private set; }

    public bool IsComplete => Data is not null && Control is not null;

    /// <summary>False once the other end has closed; a rank that waits says nothing, so readable means closed unless bytes are there.</summary>
    public bool IsAlive => IsOpen(Data) && IsOpen(Control);

    public void Set(LinePurpose purpose, Socket socket)
    {
        if (purpose == LinePurpose.Data)
            (Data, _) = (socket, Close(Data));
        else
            (Control, _) = (socket, Close(Control));
    }

    public void Dispose()
    {
        Data?.Dispose();
        Control?.Dispose();
    }

    private static bool Close(Socket? socket)
    {
        socket?.Dispose();
        return socket is not null;
    }

    private static bool IsOpen(Socket? socket) => socket is null || !socket.Poll(0, SelectMode.SelectRead) || socket.Available > 0;
}

/// <summary>Calls ranks by their cards.</summary>
internal sealed class Caller(RankPlace place, Guid id)
{
    private const int LongestText = 2048;
    private static readonly TimeSpan s_answer = TimeSpan.FromSeconds(5);

    /// <summary>Both connections to a rank; null when it is not there, or no longer.</summary>
    /// <exception cref="ArgumentException">It refused us for good.</exception>
    public PeerLines? Call(PeerCard card, Deadline deadline)
    {
        var lines = new PeerLines(card.Id);
        foreach (var purpose in (LinePurpose[])[LinePurpose.Data, LinePurpose.Control])
        {
            var greeting = new Greeting(purpose, place.Group, place.Rank, place.Ranks, id, card.Id);
            var socket = Greet(card, greeting, deadline, out var refusal);
            if (socket is not null)
            {
                lines.Set(purpose, socket);
                continue;
            }

            lines.Dispose();
            return refusal is null ? null : throw new ArgumentException(refusal);
        }

        return lines;
    }

    /// <summary>True when whoever hung out this card still waits.</summary>
    public bool IsThere(PeerCard card)
    {
        var probe = new Greeting(LinePurpose.Probe, place.Group, place.Rank, place.Ranks, id, card.Id);
        using var socket = Greet(card, probe, new Deadline(s_answer), out _);
        return socket is not null;
    }

    /// <summary>Answers a greeting; false when the caller is gone.</summary>
    public static bool Reply(Socket socket, Answer answer, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return SocketBytes.SendAll(socket, [(byte)answer, (byte)(bytes.Length & 255), (byte)(bytes.Length >> 8), .. bytes], new Deadline(s_answer));
    }

    private static Socket? Greet(PeerCard card, Greeting greeting, Deadline deadline, out string? refusal)
    {
        refusal = null;
        var patience = new Deadline(deadline.Left < s_answer ? deadline.Left : s_answer);
        if (!IPAddress.TryParse(card.Address, out var address) || SocketBytes.Connect(new IPEndPoint(address, card.Port), patience) is not { } socket)
            return null;
        Span<byte> head = stackalloc byte[3];
        if (SocketBytes.SendAll(socket, greeting.ToBytes(), patience) && SocketBytes.ReceiveAll(socket, head, patience))
        {
            if (head[0] == (byte)Answer.Welcome)
                return socket;
            var text = new byte[Math.Min(LongestText, head[1] | (head[2] << 8))];
            if (head[0] == (byte)Answer.Refused && SocketBytes.ReceiveAll(socket, text, patience))
                refusal = Encoding.UTF8.GetString(text);
        }

        socket.Dispose();
        return null;
    }
}
