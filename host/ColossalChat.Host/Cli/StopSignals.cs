using System.Runtime.InteropServices;
using ColossalChat.Contracts;
using ColossalChat.Host.Node;

namespace ColossalChat.Host.Cli;

/// <summary>
/// Ctrl+C, a polite kill and the end of the session. The first asks the running verb to come to a good end (a training run finishes its step and
/// saves a checkpoint); the second ends the process at once. Verbs that are no run end at the first.
/// </summary>
internal sealed class StopSignals : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<PosixSignalRegistration> _registrations = [];

    // A verb that does not look at its token must not outlive a wish to end it: it holds nothing that has to be saved.
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(1);
    private Timer? _lastWord;

    public StopSignals(HostServices host)
    {
        foreach (var signal in (PosixSignal[])[PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP])
            _registrations.Add(PosixSignalRegistration.Create(signal, context =>
            {
                if (_stop.IsCancellationRequested)
                    return; // Left to the system, which ends the process.
                context.Cancel = true;
                var isRun = host.Runs.Any;
                if (isRun)
                    host.Console.Line("Stopping after this step; press Ctrl+C again to end at once.");
                _stop.Cancel();
                if (!isRun)
                    _lastWord = new Timer(_ => EndUnlessRunning(host), null, s_grace, Timeout.InfiniteTimeSpan);
            }));
    }

    // A run that began meanwhile looks at its token and saves what it has.
    private static void EndUnlessRunning(HostServices host)
    {
        if (!host.Runs.Any)
            Environment.Exit((int)ExitCode.Interrupted);
    }

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _stop.Token;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var registration in _registrations)
            registration.Dispose();
        _lastWord?.Dispose();
        _stop.Dispose();
    }
}
