using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// Small words between the members of a group beside the users' bytes: why it broke, who leaves, where a segment lies. One
/// thread listens to all ranks; it ends when this is disposed. Safe to use from several threads.
/// </summary>
internal sealed class ControlLines : IDisposable
{
    private const int Head = 5;
    private const int LongestMessage = 1 << 16;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);
    private readonly object _gate = new();
    private readonly RankPlace _place;
    private readonly Wire?[] _wires;
    private readonly bool[] _isGone;
    private readonly Thread? _listening;
    private readonly Dictionary<(int Peer, string Key), string> _words = [];
    private int[] _gone = [];
    private volatile string? _brokenBy;
    private volatile bool _isDisposed;

    public ControlLines(RankPlace place, Wire?[] wires)
    {
        (_place, _wires, _isGone) = (place, wires, new bool[place.Ranks]);
        if (place.Ranks > 1)
        {
            _listening = new Thread(Listen) { IsBackground = true, Name = $"{place.Group} {place.Rank} control" };
            _listening.Start();
        }
    }

    private enum Kind : byte
    {
        Word = 1,
        Abort = 2,
        Farewell = 3,
    }

    public string? BrokenBy => _brokenBy;

    public int[] Gone => Volatile.Read(ref _gone);

    public void Post(int peer, string key, string text) => Send(peer, Kind.Word, $"{key}\n{text}");

    /// <summary>Waits for words under one key from several ranks.</summary>
    /// <returns>The words by rank; of the ranks in <paramref name="missing"/> none came in time.</returns>
    /// <exception cref="IOException">The group is broken, or one of the ranks is gone.</exception>
    public Dictionary<int, string> Await(IReadOnlyList<int> peers, string key, Deadline deadline, out int[] missing)
    {
        lock (_gate)
        {
            while (true)
            {
                missing = [.. peers.Where(peer => !_words.ContainsKey((peer, key)))];
                if (_brokenBy is { } reason)
                    throw Places.Broken(_place, reason);
                if (missing.FirstOrDefault(peer => _isGone[peer], -1) is >= 0 and var gone)
                    throw new IOException($"Group '{_place.Group}': rank {gone} is gone (seen from rank {_place.Rank}).");
                if (missing.Length == 0 || deadline.HasPassed)
                    break;
                Monitor.Wait(_gate, deadline.Milliseconds());
            }

            var words = new Dictionary<int, string>();
            foreach (var peer in peers)
                if (_words.Remove((peer, key), out var text))
                    words[peer] = text;
            return words;
        }
    }

    public void Abort(string reason)
    {
        if (!Break(reason))
            return;
        for (var peer = 0; peer < _place.Ranks; peer++)
            Send(peer, Kind.Abort, reason);
    }

    /// <summary>What is known of a rank whose data connection closed, once the control connection has had time to say why.</summary>
    public string WhyClosed(int peer)
    {
        var patience = new Deadline(TimeSpan.FromSeconds(1));
        lock (_gate)
        {
            while (_brokenBy is null && !_isGone[peer] && !patience.HasPassed)
                Monitor.Wait(_gate, patience.Milliseconds());
            return _brokenBy is { } reason ? $"Group '{_place.Group}' is broken: {reason}" : $"Group '{_place.Group}': rank {peer} is gone (seen from rank {_place.Rank}).";
        }
    }

    public void Dispose()
    {
        if (_isDisposed)
            return;
        for (var peer = 0; peer < _place.Ranks; peer++)
            Send(peer, Kind.Farewell, "");
        _isDisposed = true;
        // Wakes the listening thread; the farewell still goes out before the end of the stream.
        foreach (var wire in _wires)
            Shut(wire?.Socket);
        _listening?.Join();
        foreach (var wire in _wires)
            wire?.Dispose();
    }

    private static void Shut(Socket? socket)
    {
        try
        {
            socket?.Shutdown(SocketShutdown.Both);
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.NotConnected)
        {
            // The other end was faster; the listening thread knows already.
            return;
        }
    }

    private bool Break(string reason)
    {
        lock (_gate)
        {
            if (_brokenBy is not null)
                return false;
            _brokenBy = reason;
            Monitor.PulseAll(_gate);
            return true;
        }
    }

    private void Send(int peer, Kind kind, string text)
    {
        if (_wires[peer] is not { } wire || Volatile.Read(ref _isGone[peer]) || _isDisposed)
            return;
        var bytes = Encoding.UTF8.GetBytes(text);
        var length = Math.Min(bytes.Length, LongestMessage);
        var message = new byte[Head + length];
        message[0] = (byte)kind;
        BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(1), length);
        bytes.AsSpan(0, length).CopyTo(message.AsSpan(Head));
        lock (wire)
        {
            if (!wire.SendAll(message, new Deadline(s_patience)))
                MarkGone(peer);
        }
    }

    private void MarkGone(int peer)
    {
        lock (_gate)
        {
            _isGone[peer] = true;
            Volatile.Write(ref _gone, [.. Enumerable.Range(0, _place.Ranks).Where(rank => _isGone[rank])]);
            Monitor.PulseAll(_gate);
        }
    }

    private void Listen()
    {
        var open = Enumerable.Range(0, _place.Ranks).Where(rank => _wires[rank] is not null).ToDictionary(rank => _wires[rank]!.Socket);
        while (!_isDisposed && open.Count > 0)
        {
            // What TLS has taken from the socket already wakes nobody any more.
            var readable = open.Where(one => _wires[one.Value]!.HasBytes).Select(one => one.Key).ToList();
            if (readable.Count == 0)
            {
                readable = [.. open.Keys];
                Socket.Select(readable, null, null, -1);
            }

            foreach (var socket in readable.Where(socket => !Read(open[socket], _wires[open[socket]]!)))
            {
                MarkGone(open[socket]);
                open.Remove(socket);
            }
        }
    }

    // False at the end of the stream, or when the other end talks nonsense.
    private bool Read(int peer, Wire wire)
    {
        Span<byte> head = stackalloc byte[Head];
        var patience = new Deadline(s_patience);
        if (!wire.ReceiveAll(head, patience))
            return false;
        var length = BinaryPrimitives.ReadInt32LittleEndian(head[1..]);
        if (length is < 0 or > LongestMessage)
            return false;
        var bytes = new byte[length];
        if (!wire.ReceiveAll(bytes, patience))
            return false;
        var text = Encoding.UTF8.GetString(bytes);
        switch ((Kind)head[0])
        {
            case Kind.Abort:
                Break(text);
                return true;
            case Kind.Word when text.IndexOf('\n') is > 0 and var cut:
                lock (_gate)
                {
                    _words[(peer, text[..cut])] = text[(cut + 1)..];
                    Monitor.PulseAll(_gate);
                }

                return true;
            default:
                return false;
        }
    }
}
