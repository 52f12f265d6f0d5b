using System.Globalization;
using ColossalChat.Cluster;
using ColossalChat.Contracts;

namespace ColossalChat.Host.Runs;

/// <summary>
/// One line about where a run stands: <c>iteration 120/1000 12% train/loss 1.234 1,850 tok/s eta 00:14:05</c>. On a
/// terminal it is redrawn at every report, elsewhere written every few seconds and at measurements. The iterations are
/// those that were asked for.
/// </summary>
internal sealed class ProgressLine(TimeProvider time, bool isTerminal, Action<string> show)
{
    private const int MostMetrics = 5;
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(5);

    private long _iterations;
    private long _shownAt;
    private bool _wasShown;

    /// <summary>The run begins.</summary>
    public void Start(long firstIteration, long iterations)
    {
        (_iterations, _wasShown) = (iterations, false);
        if (isTerminal)
            show($"iteration {firstIteration}/{iterations} begins");
    }

    /// <summary>A report came.</summary>
    public void Report(IterationReport report)
    {
        var isDue = isTerminal || report.Purpose == BatchPurpose.Evaluate || !_wasShown
            || report.Iteration == _iterations || time.GetElapsedTime(_shownAt) >= s_pause;
        if (!isDue)
            return;
        (_shownAt, _wasShown) = (time.GetTimestamp(), true);
        show(report.Purpose == BatchPurpose.Evaluate ? Measured(report) : Trained(report));
    }

    private string Trained(IterationReport report)
    {
        var share = _iterations > 0 ? 100.0 * report.Iteration / _iterations : 0;
        var line = string.Create(CultureInfo.InvariantCulture, $"iteration {report.Iteration}/{_iterations} {share:0}%{Chosen(report.Metrics, WellKnownMetrics.Trained)}");
        if (report.Metrics.TryGetValue("perf/tokens_per_s", out var rate))
            line += string.Create(CultureInfo.InvariantCulture, $" {rate:N0} tok/s");
        if (!report.Metrics.TryGetValue(RemainingTime.Metric, out var seconds))
            return line;
        var left = TimeSpan.FromSeconds(seconds);
        return line + string.Create(CultureInfo.InvariantCulture, $" eta {(long)left.TotalHours:00}:{left.Minutes:00}:{left.Seconds:00}");
    }

    private static string Measured(IterationReport report) =>
        string.Create(CultureInfo.InvariantCulture, $"measured at iteration {report.Iteration}{Chosen(report.Metrics, WellKnownMetrics.Measured)}");

    private static string Chosen(IReadOnlyDictionary<string, double> metrics, IReadOnlyList<string> wellKnown)
    {
        var names = wellKnown.Where(metrics.ContainsKey)
            .Take(MostMetrics);
        return string.Concat(names.Select(name => string.Create(CultureInfo.InvariantCulture, $" {name} {Short(metrics[name])}")));
    }

    // Learning rates are small, and a KL of -0.00001 is 0 to a reader.
    private static string Short(double value)
    {
        var tiny = Math.Abs(value) is > 1e-7 and < 1e-3;
        return tiny ? value.ToString("0.##e-0", CultureInfo.InvariantCulture) : (Math.Round(value, 4) + 0.0).ToString("0.####", CultureInfo.InvariantCulture);
    }
}
