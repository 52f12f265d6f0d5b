using System.Net;
using System.Net.Sockets;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// Listens for readers. One thread accepts and watches the connections that are parked because nothing is said on them; each
/// other connection has a thread that gives way to all others.
/// </summary>
internal sealed class LaneServer : IDisposable
{
    private const int LookMicroseconds = 50_000;
    private const int MostParked = 8192;
    private readonly LaneSettings _settings;
    private static readonly TimeSpan s_quiet = TimeSpan.FromSeconds(5);
    private readonly INodeLog _log;
    private readonly LaneDesk _desk;
    private readonly Socket _listener;
    private readonly object _gate = new();
    private readonly List<LaneVisit> _visits = [];
    private readonly Dictionary<Socket, Action> _parked = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Thread _thread;
    private Deadline _quiet = new(TimeSpan.Zero);

    public LaneServer(LaneSettings settings, LaneBlocks blocks, LaneTraffic traffic, TlsIdentity? identity, INodeLog log)
    {
        (_settings, _log) = (settings, log);
        _desk = new LaneDesk(settings, blocks, new LaneSender(settings, traffic), traffic, identity, _stop.Token);
        var address = LaneDial.Resolve(settings.Host == "*" ? "0.0.0.0" : settings.Host);
        _listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
        try
        {
            _listener.Bind(new IPEndPoint(address, settings.Port));
            _listener.Listen(settings.Connections);
        }
        catch (SocketException error)
        {
            _listener.Dispose();
            throw new IOException($"The lane cannot listen on {settings.Host}:{settings.Port}: {error.Message}. Choose another port, or 0 for a free one.", error);
        }

        Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        _thread = LanePriority.Start($"lane {Port}", Listen);
    }

    public int Port { get; }

    /// <summary>Watches a connection on which nothing is expected; the action runs once, on a thread of its own, when something comes or it closes.</summary>
    /// <returns>False when there are too many, or this is being disposed.</returns>
    public bool Park(LaneLine line, Action somethingCame)
    {
        lock (_gate)
        {
            if (_stop.IsCancellationRequested || _parked.Count >= MostParked)
                return false;
            _parked[line.Wire.Socket] = somethingCame;
            return true;
        }
    }

    /// <summary>Lets readers go that have everything of a block that nobody else gets any more.</summary>
    public void LetGo(ReaderChain chain)
    {
        lock (_gate)
            foreach (var visit in _visits)
                visit.LetGo(chain);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stop.IsCancellationRequested)
            return;
        _stop.Cancel();
        _thread.Join();
        lock (_gate)
        {
            foreach (var visit in _visits.Where(visit => visit.IsParked).ToArray())
                Forget(visit);
            foreach (var visit in _visits)
                visit.Shut();
            _parked.Clear();
            // Each thread looks around at least every 50 ms.
            while (_visits.Count > 0)
                Monitor.Wait(_gate);
        }

        _listener.Dispose();
        _stop.Dispose();
    }

    private void Listen()
    {
        while (!_stop.IsCancellationRequested)
        {
            List<Socket> readable;
            lock (_gate)
                readable = [_listener, .. _parked.Keys];
            try
            {
                Socket.Select(readable, null, null, LookMicroseconds);
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                DropClosed();
                continue;
            }

            foreach (var socket in readable)
                if (socket == _listener)
                    Accept();
                else
                    Wake(socket);
        }
    }

    private void DropClosed()
    {
        Socket[] closed;
        lock (_gate)
            closed = [.. _parked.Keys.Where(socket => socket.SafeHandle.IsClosed)];
        foreach (var socket in closed)
            Wake(socket);
    }

    private void Wake(Socket socket)
    {
        Action? action;
        lock (_gate)
        {
            _parked.Remove(socket, out action);
            foreach (var visit in _visits.Where(visit => visit.Socket == socket))
                visit.IsParked = false;
        }

        if (action is null)
            return;
        LanePriority.Start("lane words", action);
    }

    private void Accept()
    {
        Socket? socket = null;
        try
        {
            socket = _listener.Accept();
            LaneDial.Prepare(socket);
        }
        catch (SocketException error)
        {
            socket?.Dispose();
            // It left before it was let in, or the system has no more descriptors: the next may do better.
            _log.Debug($"The lane at port {Port} could not accept a connection: {error.Message}");
            return;
        }

        var visit = new LaneVisit(socket, _desk);
        lock (_gate)
        {
            _visits.Add(visit);
            // Whoever has not greeted holds nothing: the one that has been silent longest makes room.
            var active = _visits.Where(other => !other.IsParked).ToArray();
            if (active.Length > _settings.Connections)
                (active.FirstOrDefault(other => !other.HasGreeted) ?? visit).Shut();
        }

        LanePriority.Start("lane visit", () => Attend(visit));
    }

    private void Attend(LaneVisit visit)
    {
        try
        {
            if (visit.Converse())
            {
                lock (_gate)
                {
                    visit.IsParked = !_stop.IsCancellationRequested && _parked.Count < MostParked && !visit.MayGo;
                    if (visit.IsParked)
                    {
                        _parked[visit.Socket] = () => Attend(visit);
                        return;
                    }
                }
            }
        }
        catch (Exception error)
        {
            // Whatever strangers make happen here must not end the process; what nobody expects is told.
            if (error is not (IOException or SocketException or ObjectDisposedException or OperationCanceledException))
                _log.Error($"The lane at port {Port} closed a connection: {error}");
            if (!visit.HasGreeted && !_stop.IsCancellationRequested)
                Refuse(error.Message);
        }

        lock (_gate)
            Forget(visit);
    }

    private void Forget(LaneVisit visit)
    {
        visit.Dispose();
        _visits.Remove(visit);
        Monitor.PulseAll(_gate);
    }

    // Strangers do not get to fill the log: one line for all of a few seconds.
    private void Refuse(string why)
    {
        _desk.Traffic.Refused();
        lock (_gate)
        {
            if (!_quiet.HasPassed)
                return;
            _quiet = new Deadline(s_quiet);
        }

        _log.Warning($"The lane at port {Port} refused a connection ({_desk.Traffic.Now.Refused} so far): {why}");
    }
}
