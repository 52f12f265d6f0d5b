namespace ColossalChat.Cluster;

/// <summary>
/// A call's turn on the device. Whoever gave the call up may end the turn in the worker's place, which does not return.
/// Safe to use from several threads.
/// </summary>
/// <param name="device">What the role computes on.</param>
internal sealed class DeviceTurn(SharedDevice device) : IDisposable
{
    private readonly Lock _lock = new();
    private IDisposable? _turn;
    private bool _isOver;

    /// <summary>Waits for it.</summary>
    public void Take(CancellationToken cancel)
    {
        var turn = device.Take(cancel);
        lock (_lock)
            if (!_isOver)
            {
                _turn = turn;
                return;
            }

        turn.Dispose();
        throw new OperationCanceledException("The call was given up while it waited for the device.");
    }

    /// <summary>Ends it; later calls do nothing.</summary>
    public void Dispose()
    {
        IDisposable? turn;
        lock (_lock)
            (turn, _turn, _isOver) = (_turn, null, true);
        turn?.Dispose();
    }
}
