using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ColossalChat.Transfer;

/// <summary>How far a socket came.</summary>
internal enum SocketStep
{
    /// <summary>Some bytes went.</summary>
    Moved,

    /// <summary>None yet.</summary>
    Waited,

    /// <summary>None ever again: the other end is gone.</summary>
    Closed,
}

/// <summary>Non-blocking sockets with short waits, so that whoever waits can look at deadlines and at what else happened.</summary>
internal static partial class SocketBytes
{
    /// <summary>A connection; null when none came about in time.</summary>
    public static Socket? Connect(IPEndPoint to, Deadline deadline)
    {
        // Not ConnectAsync: a socket that was ever used so wakes a thread of the framework with every packet.
        var socket = new Socket(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
        try
        {
            socket.Connect(to);
        }
        catch (SocketException pending) when (pending.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
        {
            socket.Poll(deadline.Milliseconds(int.MaxValue / 1000) * 1000, SelectMode.SelectWrite);
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }

        if (socket.Connected)
        {
            Prepare(socket);
            return socket;
        }

        socket.Dispose();
        return null;
    }

    /// <summary>No waiting calls, no gathering of small packets, no pacing within one machine.</summary>
    public static void Prepare(Socket socket)
    {
        socket.Blocking = false;
        socket.NoDelay = true;
        if (OperatingSystem.IsLinux() && IsWithinOneMachine(socket))
            SendUnpaced(socket);
    }

    /// <summary>
    /// Keeps little in the system's queue, so that whatever else this machine sends does not stand behind it. The window that
    /// the network needs is not touched.
    /// </summary>
    public static void KeepShort(Socket socket)
    {
        if (OperatingSystem.IsLinux())
            socket.SetRawSocketOption(LinuxTcp, LinuxTcpUnsentLow, BitConverter.GetBytes(MostUnsent));
    }

    /// <summary>Sends what the socket takes; waits at most so many milliseconds when it takes nothing.</summary>
    public static SocketStep Send(Socket socket, ReadOnlySpan<byte> bytes, int milliseconds, out int sent)
    {
        sent = socket.Send(bytes, SocketFlags.None, out var error);
        return Step(socket, error, SelectMode.SelectWrite, milliseconds);
    }

    /// <summary>Reads what is there, 1 byte or more; waits at most so many milliseconds when there is nothing.</summary>
    public static SocketStep Receive(Socket socket, Span<byte> bytes, int milliseconds, out int received)
    {
        received = socket.Receive(bytes, SocketFlags.None, out var error);
        return error == SocketError.Success && received == 0 ? SocketStep.Closed : Step(socket, error, SelectMode.SelectRead, milliseconds);
    }

    /// <summary>Sends what the socket takes of a file, without copying it; waits at most so many milliseconds when it takes nothing. Linux only.</summary>
    public static SocketStep SendFile(Socket socket, SafeFileHandle file, long offset, int bytes, int milliseconds, out int sent)
    {
        var count = SendFile((int)socket.SafeHandle.DangerousGetHandle(), (int)file.DangerousGetHandle(), ref offset, bytes);
        sent = (int)Math.Max(0, count);
        if (count > 0)
            return SocketStep.Moved;
        return Marshal.GetLastPInvokeError() is LinuxAgain or LinuxInterrupted && count < 0 ? Step(socket, SocketError.WouldBlock, SelectMode.SelectWrite, milliseconds) : SocketStep.Closed;
    }

    /// <summary>Milliseconds after which a waiting call looks around.</summary>
    public const int LongestWait = 50;

    // IPPROTO_TCP and TCP_CONGESTION of Linux. The system may be set to a control that paces by timers, such as bbr, which
    // costs a third of the bandwidth where no network lies between. Reno is in every kernel.
    private const int LinuxTcp = 6;
    private const int LinuxTcpCongestion = 13;

    // TCP_NOTSENT_LOWAT: the socket takes more only while less than this waits to be sent.
    private const int LinuxTcpUnsentLow = 25;
    private const int MostUnsent = 1 << 20;

    private const int LinuxInterrupted = 4;
    private const int LinuxAgain = 11;

    [LibraryImport("libc", EntryPoint = "sendfile", SetLastError = true)]
    private static partial nint SendFile(int to, int from, ref long offset, nint count);

    private static void SendUnpaced(Socket socket)
    {
        try
        {
            socket.SetRawSocketOption(LinuxTcp, LinuxTcpCongestion, "reno"u8);
        }
        catch (SocketException)
        {
            return; // A system that allows nothing but its own control: slower, not wrong.
        }
    }

    private static bool IsWithinOneMachine(Socket socket) =>
        socket is { RemoteEndPoint: IPEndPoint remote, LocalEndPoint: IPEndPoint local } && (IPAddress.IsLoopback(remote.Address) || remote.Address.Equals(local.Address));

    private static SocketStep Step(Socket socket, SocketError error, SelectMode mode, int milliseconds)
    {
        if (error == SocketError.Success)
            return SocketStep.Moved;
        if (error is not (SocketError.WouldBlock or SocketError.Interrupted or SocketError.NoBufferSpaceAvailable))
            return SocketStep.Closed;
        if (milliseconds > 0)
            socket.Poll(milliseconds * 1000, mode);
        return SocketStep.Waited;
    }
}
