using System.Net;
using System.Net.Sockets;

namespace ColossalChat.Transfer;

/// <summary>Connections between lanes.</summary>
internal static class LaneDial
{
    private const int SecondsToProbe = 20;

    /// <summary>The address of a name.</summary>
    /// <exception cref="IOException">There is none.</exception>
    public static IPAddress Resolve(string host)
    {
        if (IPAddress.TryParse(host, out var address))
            return address;
        try
        {
            var found = Dns.GetHostAddresses(host);
            return found.FirstOrDefault(one => one.AddressFamily == AddressFamily.InterNetwork) ?? found[0];
        }
        catch (SocketException error)
        {
            throw new IOException($"The lane cannot find '{host}': {error.Message}. Give a name or address that this machine knows.", error);
        }
    }

    /// <summary>Calls a lane.</summary>
    /// <exception cref="IOException">Nobody answers there.</exception>
    public static LaneLine Call(string host, int port, LaneSettings settings, TlsIdentity? identity)
    {
        var socket = SocketBytes.Connect(new IPEndPoint(Resolve(host), port), new Deadline(settings.Greeting))
            ?? throw new IOException($"No lane answers at {host}:{port} within {settings.Greeting}.");
        Prepare(socket);
        return new LaneLine(identity is null ? new Wire(socket) : TlsWire.AsCaller(socket, host, identity, settings.Greeting));
    }

    /// <summary>For long silence and short queues: a cut network is noticed though nobody says anything.</summary>
    public static void Prepare(Socket socket)
    {
        SocketBytes.Prepare(socket);
        SocketBytes.KeepShort(socket);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, SecondsToProbe);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, SecondsToProbe / 4);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 4);
    }

    /// <summary>Who calls us.</summary>
    public static Wire Welcome(Socket socket, LaneSettings settings, TlsIdentity? identity) =>
        identity is null ? new Wire(socket) : TlsWire.AsCalled(socket, identity, settings.Greeting);
}
