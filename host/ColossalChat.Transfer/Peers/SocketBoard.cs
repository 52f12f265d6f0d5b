using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// A board at a port. Rank 0 opens it unless somebody else's is there, which serves as well; everyone, rank 0 too, goes to
/// it as a visitor, and comes again when it closed.
/// </summary>
internal sealed class SocketBoard(RankPlace place, IPEndPoint at, string token, TlsIdentity? identity) : IMeetingBoard
{
    private static readonly TimeSpan s_connect = TimeSpan.FromSeconds(1);
    private readonly string _tokenHash = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(token)));
    private BoardServer? _server;
    private BoardFrame? _visit;
    private IReadOnlyList<PeerCard> _cards = [];

    public void Show(PeerCard card)
    {
        if (_visit is { IsOpen: true })
            return;
        LeaveBoard();
        if (place.Rank == 0)
            _server ??= BoardServer.TryOpen(at, _tokenHash, identity);
        if (Caller.Connect(at, identity, new Deadline(s_connect)) is not { } wire)
            return;
        _visit = new BoardFrame(wire);
        _visit.Write(new BoardGreeting(BoardGreeting.Expected, _tokenHash, place.Group, card));
    }

    public IReadOnlyList<PeerCard> Read()
    {
        while (_visit?.TryRead<BoardNews>() is { } news)
        {
            if (news.Refusal is { } refusal)
                throw new ArgumentException(refusal);
            // Rank 0 may have come to its board by another address than the one that all reach.
            _cards = [.. news.Cards.Where(card => card.Rank >= 0 && card.Rank < place.Ranks && card.Rank != place.Rank)
                .Select(card => card.Rank == 0 ? card with { Address = at.Address.ToString() } : card)];
        }

        return _visit is { IsOpen: true } ? _cards : [];
    }

    public void Withdraw() => LeaveBoard();

    // The board itself stays until all have met: others may still have to read each other's cards.
    public void Dispose()
    {
        LeaveBoard();
        _server?.Dispose();
    }

    private void LeaveBoard()
    {
        _visit?.Wire.Dispose();
        (_visit, _cards) = (null, []);
    }
}

/// <summary>Keeps the cards of all groups that meet at a port, on a thread of its own.</summary>
internal sealed class BoardServer : IDisposable
{
    private const int WakeMicroseconds = 100_000;
    private const int SoonMicroseconds = 2_000;
    private const int MostArriving = 256;
    private readonly Socket _listener;
    private readonly string _tokenHash;
    private readonly TlsIdentity? _identity;
    private readonly Dictionary<Socket, Visitor> _visitors = [];
    private readonly List<ArrivingWire> _arriving = [];
    private volatile bool _isDisposed;

    private BoardServer(Socket listener, string tokenHash, TlsIdentity? identity)
    {
        (_listener, _tokenHash, _identity) = (listener, tokenHash, identity);
        new Thread(Serve) { IsBackground = true, Name = "meeting board" }.Start();
    }

    /// <summary>Null when the port is taken.</summary>
    public static BoardServer? TryOpen(IPEndPoint at, string tokenHash, TlsIdentity? identity)
    {
        var on = IPAddress.IsLoopback(at.Address) ? at.Address : at.AddressFamily == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any;
        var listener = new Socket(at.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
        try
        {
            listener.Bind(new IPEndPoint(on, at.Port));
            listener.Listen(256);
            return new BoardServer(listener, tokenHash, identity);
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            listener.Dispose();
            return null;
        }
    }

    public void Dispose() => _isDisposed = true;

    private void Serve()
    {
        while (!_isDisposed)
        {
            var readable = new List<Socket>(_visitors.Keys) { _listener };
            Socket.Select(readable, null, null, _arriving.Count > 0 ? SoonMicroseconds : WakeMicroseconds);
            foreach (var socket in readable)
            {
                // A visitor may have been dismissed on account of another.
                if (socket == _listener)
                    Admit();
                else if (_visitors.TryGetValue(socket, out var visitor))
                    Hear(visitor);
            }

            Welcome();
        }

        _listener.Dispose();
        foreach (var arriving in _arriving)
            arriving.Dispose();
        foreach (var visitor in _visitors.Values)
            visitor.Frame.Wire.Dispose();
    }

    private void Admit()
    {
        var socket = _listener.Accept();
        if (_arriving.Count < MostArriving)
            _arriving.Add(new ArrivingWire(socket, _identity));
        else
            socket.Dispose();
    }

    private void Welcome()
    {
        foreach (var arriving in _arriving.Where(arriving => arriving.HasFailed || arriving.Wire is not null).ToArray())
        {
            _arriving.Remove(arriving);
            if (arriving.Wire is not { } wire)
                continue;
            var visitor = _visitors[wire.Socket] = new Visitor(new BoardFrame(wire));
            Hear(visitor);
        }
    }

    private void Hear(Visitor visitor)
    {
        var greeting = visitor.Frame.TryRead<BoardGreeting>();
        if (greeting is { Card: not null, Group: not null, TokenHash: not null } && visitor.Card is null)
            Greet(visitor, greeting);
        else if (greeting is not null || !visitor.Frame.IsOpen)
            Dismiss(visitor);
    }

    private void Dismiss(Visitor visitor)
    {
        _visitors.Remove(visitor.Frame.Wire.Socket);
        visitor.Frame.Wire.Dispose();
        TellGroup(visitor.Group);
    }

    private void Greet(Visitor visitor, BoardGreeting greeting)
    {
        var (group, card) = (greeting.Group, greeting.Card);
        foreach (var left in _visitors.Values.Where(other => other.Group == group && other.HasLeft).ToArray())
            Dismiss(left);
        var others = _visitors.Values.Where(other => other.Group == group).ToArray();
        var refusal =
            greeting.Magic != BoardGreeting.Expected || !CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(greeting.TokenHash), Encoding.ASCII.GetBytes(_tokenHash))
                ? $"Rank {card.Rank} came to the board of group '{group}' with another token; all ranks of a run must have the same."
            : others.FirstOrDefault(other => other.Card!.Ranks != card.Ranks) is { } odd
                ? $"Rank {card.Rank} joins group '{group}' with {card.Ranks} ranks, the others with {odd.Card!.Ranks}; all must agree."
            : others.Any(other => other.Card!.Rank == card.Rank)
                ? $"Rank {card.Rank} of group '{group}' has already come."
                : null;
        if (refusal is not null)
        {
            visitor.Frame.Write(new BoardNews(refusal, []));
            return;
        }

        // Seen from here the visitor's machine has the address that it came from.
        visitor.Group = group;
        visitor.Card = card with { Address = ((IPEndPoint)visitor.Frame.Wire.Socket.RemoteEndPoint!).Address.ToString() };
        TellGroup(group);
    }

    private void TellGroup(string? group)
    {
        if (group is null)
            return;
        var members = _visitors.Values.Where(visitor => visitor.Group == group).ToArray();
        var news = new BoardNews(null, [.. members.Select(member => member.Card!)]);
        foreach (var member in members)
            member.Frame.Write(news);
    }

    private sealed class Visitor(BoardFrame frame)
    {
        public BoardFrame Frame => frame;

        public string? Group { get; set; }

        public PeerCard? Card { get; set; }

        /// <summary>Visitors say nothing after their greeting, so readable means closed.</summary>
        public bool HasLeft => frame.Wire.Socket.Poll(0, SelectMode.SelectRead) && frame.Wire.Socket.Available == 0;
    }
}
