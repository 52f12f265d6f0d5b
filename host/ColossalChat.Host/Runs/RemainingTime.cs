namespace ColossalChat.Host.Runs;

/// <summary>Estimates how long a run will still take, from the pace since it was started or resumed.</summary>
/// <param name="time">Measures the pace.</param>
internal sealed class RemainingTime(TimeProvider time)
{
    /// <summary>Metric that carries the estimate, in seconds.</summary>
    public const string Metric = "run/eta_s";

    private long _first;
    private long _last;
    private long _startedAt;

    /// <summary>The run begins.</summary>
    /// <param name="first">First iteration that is made now.</param>
    /// <param name="last">Last iteration that was asked for.</param>
    public void Start(long first, long last) => (_first, _last, _startedAt) = (first, last, time.GetTimestamp());

    /// <summary>Seconds still to go after an iteration; 0 after the last.</summary>
    public double After(long iteration) =>
        time.GetElapsedTime(_startedAt).TotalSeconds / Math.Max(1, iteration - _first + 1) * Math.Max(0, _last - iteration);
}
