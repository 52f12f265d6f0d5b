using TorchSharp;

namespace ColossalChat.Host.Runs;

/// <summary>What the process itself takes: <c>sys/rss_gb</c>, <c>sys/live_tensors</c>.</summary>
internal static class ProcessMetrics
{
    /// <summary>The metrics with the process's own added.</summary>
    public static IReadOnlyDictionary<string, double> AddTo(IReadOnlyDictionary<string, double> metrics) =>
        new Dictionary<string, double>(metrics)
        {
            ["sys/rss_gb"] = Environment.WorkingSet / 1e9,
            ["sys/live_tensors"] = torch.Tensor.TotalCount,
        };
}
