namespace ColossalChat.Host.Runs;

/// <summary>What the process itself takes: <c>sys/rss_gb</c> and, of that, <c>sys/managed_gb</c>.</summary>
internal static class ProcessMetrics
{
    /// <summary>The metrics with the process's own added.</summary>
    public static IReadOnlyDictionary<string, double> AddTo(IReadOnlyDictionary<string, double> metrics) =>
        new Dictionary<string, double>(metrics)
        {
            ["sys/rss_gb"] = Environment.WorkingSet / 1e9,
            ["sys/managed_gb"] = GC.GetTotalMemory(forceFullCollection: false) / 1e9,
        };
}
