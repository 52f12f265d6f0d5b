using System.Diagnostics;
using System.Net.Sockets;

namespace ColossalChat.Host.Commands;

/// <summary>Round trips of small messages to another process, one after the other with a pause, until it is stopped.</summary>
internal sealed class TransportPings
{
    /// <summary>Size of a message, as a heartbeat is.</summary>
    public const int Bytes = 128;

    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(2);
    private readonly List<double> _milliseconds = [];
    private readonly Socket _socket;
    private readonly Thread _thread;
    private volatile bool _isStopped;

    public TransportPings(Socket socket)
    {
        _socket = socket;
        _thread = new Thread(Ping) { IsBackground = true, Name = "bench pings" };
        _thread.Start();
    }

    /// <summary>Ends it.</summary>
    /// <returns>The round trips, milliseconds.</returns>
    public IReadOnlyList<double> Stop()
    {
        _isStopped = true;
        _thread.Join();
        return _milliseconds;
    }

    private void Ping()
    {
        var message = new byte[Bytes];
        while (!_isStopped)
        {
            var start = Stopwatch.GetTimestamp();
            _socket.Send(message);
            for (var done = 0; done < Bytes;)
            {
                var count = _socket.Receive(message, done, Bytes - done, SocketFlags.None);
                if (count == 0)
                    return;
                done += count;
            }

            _milliseconds.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            Thread.Sleep(s_pause);
        }
    }
}
