using System.Net.Sockets;

namespace ColossalChat.Transfer;

/// <summary>A connection that somebody made to us; with TLS it can be used only after a greeting, which a thread of its own takes, so that strangers hold up nobody.</summary>
internal sealed class ArrivingWire : IDisposable
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(10);
    private readonly Socket _socket;
    private volatile Wire? _wire;
    private volatile bool _hasFailed;

    public ArrivingWire(Socket socket, TlsIdentity? identity)
    {
        SocketBytes.Prepare(socket);
        _socket = socket;
        if (identity is null)
            _wire = new Wire(socket);
        else
            new Thread(() => Greet(identity)) { IsBackground = true, Name = "tls greeting" }.Start();
    }

    /// <summary>Null until it can be used.</summary>
    public Wire? Wire => _wire;

    /// <summary>True when it never can.</summary>
    public bool HasFailed => _hasFailed;

    public void Dispose() => _socket.Dispose();

    private void Greet(TlsIdentity identity)
    {
        var from = From();
        try
        {
            _wire = TlsWire.AsCalled(_socket, identity, s_longest);
        }
        catch (IOException error)
        {
            // A stranger, or a rank whose certificate is not good; it learns so itself.
            identity.Remark?.Invoke($"A connection from {from} to where trainer ranks meet was refused: {error.Message}");
            _hasFailed = true;
        }
    }

    private string From()
    {
        try
        {
            return _socket.RemoteEndPoint?.ToString() ?? "?";
        }
        catch (SocketException)
        {
            return "somebody who has left"; // Its greeting says so too.
        }
    }
}
