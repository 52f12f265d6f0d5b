using System.Runtime.InteropServices;
using ColossalChat.Host.Node;

namespace ColossalChat.Host.Cli;

/// <summary>
/// Ctrl+C and a polite kill. The first asks the running verb to come to a good end (a training run finishes its step and
/// saves a checkpoint); the second ends the process at once.
/// </summary>
internal sealed class StopSignals : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<PosixSignalRegistration> _registrations = [];

    public StopSignals(HostConsole console)
    {
        foreach (var signal in (PosixSignal[])[PosixSignal.SIGINT, PosixSignal.SIGTERM])
            _registrations.Add(PosixSignalRegistration.Create(signal, context =>
            {
                if (_stop.IsCancellationRequested)
                    return; // Left to the system, which ends the process.
                context.Cancel = true;
                console.Line("Stopping after this step; press Ctrl+C again to end at once.");
                _stop.Cancel();
            }));
    }

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _stop.Token;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var registration in _registrations)
            registration.Dispose();
        _stop.Dispose();
    }
}
