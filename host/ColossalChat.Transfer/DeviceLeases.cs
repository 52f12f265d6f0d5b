using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>Turns on this process's devices, first come, first served. Safe to use from several threads.</summary>
public sealed class DeviceLeases : IDeviceLeases
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Line> _lines = [];

    /// <inheritdoc/>
    public IDisposable Take(string device, CancellationToken cancel) => Wait(device, null, cancel);

    /// <inheritdoc/>
    public IDisposable Take(string device, string party, CancellationToken cancel) => Wait(device, party, cancel);

    private Turn Wait(string device, string? party, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        Waiter waiter;
        Line line;
        lock (_gate)
        {
            if (!_lines.TryGetValue(device, out line!))
                _lines[device] = line = new Line();
            if (line.Admits(party))
            {
                line.Enter(party);
                return new Turn(this, line);
            }

            waiter = new Waiter(party);
            line.Waiting.AddLast(waiter);
        }

        try
        {
            waiter.Granted.Wait(cancel);
            return new Turn(this, line);
        }
        catch (OperationCanceledException)
        {
            GiveUp(line, waiter);
            throw;
        }
    }

    /// <summary>Callers that now wait for a device; for status displays and tests.</summary>
    public int WaitingFor(string device)
    {
        lock (_gate)
            return _lines.TryGetValue(device, out var line) ? line.Waiting.Count : 0;
    }

    private void GiveUp(Line line, Waiter waiter)
    {
        lock (_gate)
        {
            // Granted between the cancellation and this lock: the turn is ours and must go on to the next in line.
            if (!line.Waiting.Remove(waiter))
                line.Leave();
        }
    }

    private void Return(Line line)
    {
        lock (_gate)
            line.Leave();
    }

    private sealed class Line
    {
        private int _holders;
        private string? _party;

        public LinkedList<Waiter> Waiting { get; } = new();

        // A member of the party that holds the device goes past those who wait: its fellows do not end without it.
        public bool Admits(string? party) => _holders == 0 || (party is not null && party == _party);

        public void Enter(string? party) => (_holders, _party) = (_holders + 1, party);

        public void Leave()
        {
            if (--_holders > 0 || Waiting.First is not { } next)
                return;
            var party = next.Value.Party;
            foreach (var waiter in Waiting.Where(waiter => waiter == next.Value || (party is not null && waiter.Party == party)).ToArray())
            {
                Waiting.Remove(waiter);
                Enter(party);
                waiter.Granted.Set();
            }
        }
    }

    // Not disposed: the event never makes a kernel handle, and Set may still run when a cancelled waiter is gone.
    private sealed class Waiter(string? party)
    {
        public string? Party => party;

        public ManualResetEventSlim Granted { get; } = new(initialState: false);
    }

    private sealed class Turn(DeviceLeases leases, Line line) : IDisposable
    {
        private int _isReturned;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isReturned, 1) == 0)
                leases.Return(line);
        }
    }
}
