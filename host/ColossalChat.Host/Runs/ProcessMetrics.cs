namespace ColossalChat.Host.Runs;

/// <summary>
/// What the process itself takes: <c>sys/rss_gb</c> and, of that, <c>sys/managed_gb</c>; <c>sys/cpu_util</c>, the share
/// of all cores since the last report, 0 to 1.
/// </summary>
/// <param name="time">Measures the time between reports.</param>
internal sealed class ProcessMetrics(TimeProvider time)
{
    private long _at = time.GetTimestamp();
    private TimeSpan _used = Environment.CpuUsage.TotalTime;

    /// <summary>Adds the process's numbers.</summary>
    public void AddTo(Dictionary<string, double> metrics)
    {
        metrics["sys/rss_gb"] = Environment.WorkingSet / 1e9;
        metrics["sys/managed_gb"] = GC.GetTotalMemory(forceFullCollection: false) / 1e9;
        var (at, used) = (time.GetTimestamp(), Environment.CpuUsage.TotalTime);
        var passed = time.GetElapsedTime(_at, at) * Environment.ProcessorCount;
        if (passed > TimeSpan.Zero)
            metrics["sys/cpu_util"] = Math.Clamp((used - _used) / passed, 0, 1);
        (_at, _used) = (at, used);
    }
}
