using System.Net;
using System.Net.Sockets;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// One rank's wait for the others: hangs out a card, welcomes higher ranks, calls lower ones, two connections a pair. It
/// takes its card away and stops listening before it tells the others that it is complete, so when one rank returns, no
/// card and no listener of this meeting is left and the group may meet again at once.
/// </summary>
internal sealed class SocketMeeting : IDisposable
{
    private const int PollMicroseconds = 2_000;
    private static readonly TimeSpan s_board = TimeSpan.FromMilliseconds(20);
    private readonly RankPlace _place;
    private readonly IMeetingBoard _board;
    private readonly TlsIdentity? _identity;
    private readonly Deadline _deadline;
    private readonly CancellationToken _cancel;
    private readonly Socket _listener;
    private readonly PeerCard _card;
    private readonly Caller _caller;
    private readonly List<Guest> _guests = [];
    private readonly PeerLines?[] _lines;
    private Deadline _nextLook = new(TimeSpan.Zero);

    public SocketMeeting(RankPlace place, IMeetingBoard board, IPAddress listenOn, TlsIdentity? identity, Deadline deadline, CancellationToken cancel)
    {
        (_place, _board, _identity, _deadline, _cancel) = (place, board, identity, deadline, cancel);
        _lines = new PeerLines?[place.Ranks];
        _listener = new Socket(listenOn.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
        _listener.Bind(new IPEndPoint(listenOn, 0));
        _listener.Listen(Math.Max(16, 2 * place.Ranks));
        _card = new PeerCard(place.Rank, place.Ranks, Guid.NewGuid(), listenOn.ToString(), ((IPEndPoint)_listener.LocalEndPoint!).Port);
        _caller = new Caller(place, _card.Id, identity);
    }

    /// <summary>Ranks that have not come, as far as this one knows.</summary>
    public int[] Missing { get; private set; } = [];

    /// <summary>The connected group; null when the deadline passed, or somebody gave up after all had come.</summary>
    public SocketPeerGroup? Meet()
    {
        while (!IsConnected)
        {
            _cancel.ThrowIfCancellationRequested();
            if (_nextLook.HasPassed)
                LookAtBoard();
            WelcomeGuests();
            if (_deadline.HasPassed)
            {
                Missing = Missing.Length > 0 ? Missing : Unconnected;
                return null;
            }
        }

        _board.Withdraw();
        _listener.Dispose();
        var group = new SocketPeerGroup(_place, [.. _lines]);
        Array.Clear(_lines);
        if (group.AwaitAll(_deadline, out var missing))
            return group;
        Missing = missing;
        group.Dispose();
        return null;
    }

    public void Dispose()
    {
        _board.Withdraw();
        _listener.Dispose();
        foreach (var guest in _guests)
            guest.Arriving.Dispose();
        foreach (var lines in _lines)
            lines?.Dispose();
    }

    private bool IsConnected => Unconnected.Length == 0;

    private int[] Unconnected => [.. Enumerable.Range(0, _place.Ranks).Where(rank => rank != _place.Rank && _lines[rank] is not { IsComplete: true })];

    private void LookAtBoard()
    {
        _nextLook = new Deadline(s_board);
        for (var rank = 0; rank < _place.Ranks; rank++)
        {
            if (_lines[rank] is not { IsAlive: false } gone)
                continue;
            gone.Dispose();
            _lines[rank] = null;
        }

        _board.Show(_card);
        var cards = _board.Read();
        foreach (var card in cards.Where(card => card.Rank < _place.Rank && _lines[card.Rank] is null))
            _lines[card.Rank] = _caller.Call(card, _deadline);
        // A higher rank whose card hangs has come; a lower one has when it answered.
        Missing = [.. Enumerable.Range(0, _place.Ranks).Where(rank => rank != _place.Rank && _lines[rank] is null && (rank < _place.Rank || cards.All(card => card.Rank != rank)))];
    }

    private void WelcomeGuests()
    {
        var readable = new List<Socket>(_guests.Select(guest => guest.Arriving.Wire?.Socket).OfType<Socket>()) { _listener };
        Socket.Select(readable, null, null, PollMicroseconds);
        if (readable.Contains(_listener))
        {
            _guests.Add(new Guest(new ArrivingWire(_listener.Accept(), _identity)));
        }

        foreach (var guest in _guests.Where(guest => guest.HasLeft || guest.Read()).ToArray())
        {
            _guests.Remove(guest);
            if (guest.Greeting is { } greeting)
                Answer(guest.Arriving.Wire!, greeting);
            else
                guest.Arriving.Dispose();
        }
    }

    private void Answer(Wire wire, Greeting greeting)
    {
        var (answer, text) = Judge(greeting);
        var isWelcome = answer == Transfer.Answer.Welcome && greeting.Purpose != LinePurpose.Probe;
        if (!Caller.Reply(wire, answer, text) || !isWelcome)
        {
            wire.Dispose();
            return;
        }

        var lines = _lines[greeting.Rank];
        if (lines is null || lines.Id != greeting.From)
        {
            lines?.Dispose();
            _lines[greeting.Rank] = lines = new PeerLines(greeting.From);
        }

        lines.Set(greeting.Purpose, wire);
    }

    private (Answer Answer, string Text) Judge(Greeting greeting)
    {
        if (greeting.To != _card.Id || greeting.Group != _place.Group)
            return (Transfer.Answer.Unknown, "");
        if (greeting.Purpose == LinePurpose.Probe)
            return (Transfer.Answer.Welcome, "");
        if (greeting.Ranks != _place.Ranks)
            return (Transfer.Answer.Refused, $"Rank {greeting.Rank} joins group '{_place.Group}' with {greeting.Ranks} ranks, the others with {_place.Ranks}; all must agree.");
        if (greeting.Rank <= _place.Rank || greeting.Rank >= _place.Ranks)
            return (Transfer.Answer.Unknown, "");
        return _lines[greeting.Rank] is { IsAlive: true } lines && lines.Id != greeting.From
            ? (Transfer.Answer.Refused, $"Rank {greeting.Rank} of group '{_place.Group}' has already come.")
            : (Transfer.Answer.Welcome, "");
    }

    /// <summary>A connection that has not said yet who it is.</summary>
    private sealed class Guest(ArrivingWire arriving)
    {
        private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);
        private readonly byte[] _bytes = new byte[Greeting.Fixed + Greeting.LongestGroup];
        private readonly Deadline _patience = new(s_patience);
        private int _filled;

        public ArrivingWire Arriving => arriving;

        public bool HasLeft => _patience.HasPassed;

        public Greeting? Greeting { get; private set; }

        /// <summary>True once there is nothing more to wait for: the greeting is complete, or it is none of ours.</summary>
        public bool Read()
        {
            if (arriving.Wire is not { } wire)
                return arriving.HasFailed;
            while (true)
            {
                var length = Greeting.Fixed;
                if (_filled >= length)
                {
                    if (Greeting.LengthOf(_bytes) is not { } whole)
                        return true;
                    length = whole;
                    if (_filled == length)
                    {
                        Greeting = Greeting.Parse(_bytes.AsSpan(0, length));
                        return true;
                    }
                }

                switch (wire.Receive(_bytes.AsSpan(_filled, length - _filled), 0, out var received))
                {
                    case SocketStep.Moved:
                        _filled += received;
                        break;
                    case SocketStep.Waited:
                        return false;
                    default:
                        return true;
                }
            }
        }
    }
}
