using System.Net.Sockets;

namespace ColossalChat.Transfer;

/// <summary>A connected socket as whoever uses it sees it; owned. A derived one encrypts. One thread sends and one receives at a time.</summary>
internal class Wire(Socket socket) : IDisposable
{
    /// <summary>For waiting on several; not for bytes.</summary>
    public Socket Socket => socket;

    /// <summary>True when bytes go as they are, so that the system may send them from a file.</summary>
    public virtual bool IsPlain => true;

    /// <summary>True when bytes can be received at once though the socket says nothing.</summary>
    public virtual bool HasBytes => false;

    /// <inheritdoc cref="SocketBytes.Send"/>
    public virtual SocketStep Send(ReadOnlySpan<byte> bytes, int milliseconds, out int sent) => SocketBytes.Send(socket, bytes, milliseconds, out sent);

    /// <inheritdoc cref="SocketBytes.Receive"/>
    public virtual SocketStep Receive(Span<byte> bytes, int milliseconds, out int received) => SocketBytes.Receive(socket, bytes, milliseconds, out received);

    /// <summary>Sends all; false when the deadline passed or the other end is gone.</summary>
    public bool SendAll(ReadOnlySpan<byte> bytes, Deadline deadline)
    {
        while (bytes.Length > 0)
        {
            switch (Send(bytes, deadline.Milliseconds(SocketBytes.LongestWait), out var sent))
            {
                case SocketStep.Moved:
                    bytes = bytes[sent..];
                    break;
                case SocketStep.Closed:
                case SocketStep.Waited when deadline.HasPassed:
                    return false;
            }
        }

        return true;
    }

    /// <summary>Fills the span; false when the deadline passed or the other end is gone.</summary>
    public bool ReceiveAll(Span<byte> bytes, Deadline deadline)
    {
        while (bytes.Length > 0)
        {
            // Asked before looking: a process that was off its core past the deadline still sees what came meanwhile.
            var isLastLook = deadline.HasPassed;
            switch (Receive(bytes, deadline.Milliseconds(SocketBytes.LongestWait), out var received))
            {
                case SocketStep.Moved:
                    bytes = bytes[received..];
                    break;
                case SocketStep.Closed:
                case SocketStep.Waited when isLastLook:
                    return false;
            }
        }

        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Closes it.</summary>
    protected virtual void Dispose(bool isDisposing) => socket.Dispose();
}
