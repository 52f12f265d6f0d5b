using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>Turns on this process's devices, first come, first served. Safe to use from several threads.</summary>
public sealed class DeviceLeases : IDeviceLeases
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Line> _lines = [];

    /// <inheritdoc/>
    public IDisposable Take(string device, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        Waiter waiter;
        Line line;
        lock (_gate)
        {
            if (!_lines.TryGetValue(device, out line!))
                _lines[device] = line = new Line();
            if (!line.IsTaken)
            {
                line.IsTaken = true;
                return new Turn(this, line);
            }

            waiter = new Waiter();
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
                PassOn(line);
        }
    }

    private void Return(Line line)
    {
        lock (_gate)
            PassOn(line);
    }

    private static void PassOn(Line line)
    {
        if (line.Waiting.First is not { } next)
        {
            line.IsTaken = false;
            return;
        }

        line.Waiting.RemoveFirst();
        next.Value.Granted.Set();
    }

    private sealed class Line
    {
        public bool IsTaken { get; set; }

        public LinkedList<Waiter> Waiting { get; } = new();
    }

    // Not disposed: the event never makes a kernel handle, and Set may still run when a cancelled waiter is gone.
    private sealed class Waiter
    {
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
