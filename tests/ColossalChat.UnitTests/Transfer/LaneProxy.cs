using System.Net;
using System.Net.Sockets;
using ColossalChat.Contracts;
using ColossalChat.Transfer;

namespace ColossalChat.UnitTests.Transfer;

/// <summary>Stands between readers and a lane: sees what the lane sends, and can spoil or cut it.</summary>
internal sealed class LaneProxy : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly int _port;
    private readonly List<Socket> _sockets = [];
    private readonly List<byte> _seen = [];
    private volatile bool _isDisposed;

    public LaneProxy(int port)
    {
        _port = port;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(16);
        Start(Accept);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    /// <summary>Connections so far.</summary>
    public int Connections { get; private set; }

    /// <summary>What the lane sent, the first megabytes.</summary>
    public byte[] Seen
    {
        get
        {
            lock (_seen)
                return [.. _seen];
        }
    }

    /// <summary>Sees each piece on its way to the reader, with its place in what the connection carried; false cuts the connection.</summary>
    public Func<int, long, Memory<byte>, bool> OnPiece { get; set; } = (_, _, _) => true;

    /// <summary>The same block, to be fetched through this.</summary>
    public BlobReference Instead(BlobReference blob) =>
        blob with { Location = (LaneLocation.Parse(blob.Location)! with { Port = Port, Path = "" }).ToText() };

    public void Dispose()
    {
        _isDisposed = true;
        _listener.Dispose();
        lock (_sockets)
            foreach (var socket in _sockets)
                socket.Dispose();
    }

    private static void Start(Action work) => new Thread(() => Quietly(work)) { IsBackground = true }.Start();

    private static void Quietly(Action work)
    {
        try
        {
            work();
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // Either end left.
            return;
        }
    }

    private void Accept()
    {
        while (!_isDisposed)
        {
            var reader = _listener.Accept();
            var lane = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            lane.Connect(IPAddress.Loopback, _port);
            lock (_sockets)
                _sockets.AddRange([reader, lane]);
            var number = Connections++;
            Start(() => Pump(reader, lane, -1));
            Start(() => Pump(lane, reader, number));
        }
    }

    private void Pump(Socket from, Socket to, int number)
    {
        var piece = new byte[1 << 16];
        for (long place = 0; ;)
        {
            var count = 0;
            Quietly(() => count = from.Receive(piece));
            if (count == 0 || (number >= 0 && !OnPiece(number, place, piece.AsMemory(0, count))))
                break;
            lock (_seen)
                if (number >= 0 && _seen.Count < 4 << 20)
                    _seen.AddRange(piece.AsSpan(0, count));
            to.Send(piece, count, SocketFlags.None);
            place += count;
        }

        from.Dispose();
        to.Dispose();
    }
}
