using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Host.Commands;

/// <summary>What the benchmark asks of a reader's process.</summary>
internal enum TransportTask
{
    /// <summary>Receive blocks over a plain socket at a port.</summary>
    Plain,

    /// <summary>Fetch blocks through a lane.</summary>
    Fetch,

    /// <summary>Make memory ready for what is fetched next.</summary>
    Prepare,
}

/// <summary>A task. A plain one with a negative count is for a tuned socket.</summary>
internal sealed record TransportOrder(TransportTask Task, TransportWay Way, int Count, int Bytes, int Port, BlobReference? Blob);

/// <summary>How blocks travel.</summary>
internal enum TransportWay
{
    /// <summary>Over sockets, as between machines.</summary>
    Sockets,

    /// <summary>The same, encrypted.</summary>
    Encrypted,

    /// <summary>Through memory.</summary>
    Shared,
}

/// <summary>Small messages between the processes of the benchmark: one JSON document a line.</summary>
internal sealed class TransportLines : IDisposable
{
    private readonly StreamReader _reader;
    private readonly StreamWriter _writer;
    private readonly Socket _socket;

    public TransportLines(Socket socket)
    {
        socket.NoDelay = true;
        _socket = socket;
        var stream = new NetworkStream(socket, ownsSocket: true);
        (_reader, _writer) = (new StreamReader(stream), new StreamWriter(stream) { AutoFlush = true });
    }

    public static Socket Call(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Connect(IPAddress.Loopback, port);
        return socket;
    }

    public static Socket Listen()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        socket.Listen(128);
        return socket;
    }

    public static int PortOf(Socket listener) => ((IPEndPoint)listener.LocalEndPoint!).Port;

    /// <summary>The system may be set to a congestion control that paces by timers; the lane sets this one within a machine, so its rival gets it too.</summary>
    public static void Unpaced(Socket socket)
    {
        const int tcp = 6;
        const int congestion = 13;
        if (OperatingSystem.IsLinux())
            socket.SetRawSocketOption(tcp, congestion, "reno"u8);
    }

    public void Send<T>(T message) => _writer.WriteLine(JsonSerializer.Serialize(message));

    /// <summary>The next message.</summary>
    /// <exception cref="UserErrorException">The other process is gone.</exception>
    public T Receive<T>() => _reader.ReadLine() is { } line
        ? JsonSerializer.Deserialize<T>(line)!
        : throw new UserErrorException("A process of the benchmark ended before its time; see what it said above.", ExitCode.Failed);

    /// <summary>The next message; null when the other process has ended.</summary>
    public T? TryReceive<T>()
        where T : class => _reader.ReadLine() is { } line ? JsonSerializer.Deserialize<T>(line) : null;

    public void Dispose()
    {
        _writer.Dispose();
        _reader.Dispose();
        _socket.Dispose();
    }
}
