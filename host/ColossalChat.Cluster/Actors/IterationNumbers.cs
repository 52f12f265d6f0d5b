using System.Diagnostics;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>What one iteration or measurement adds up to.</summary>
internal sealed class IterationNumbers(long iteration, BatchPurpose purpose)
{
    private readonly long _started = Stopwatch.GetTimestamp();
    private readonly SortedDictionary<string, double> _metrics = new(StringComparer.Ordinal);
    private IReadOnlyList<SampleRow> _samples = [];
    private int _rows;

    public void Set(IReadOnlyDictionary<string, double> metrics)
    {
        foreach (var (name, value) in metrics)
            _metrics[name] = value;
    }

    public void Add(string name, double value) => _metrics[name] = _metrics.GetValueOrDefault(name) + value;

    public void SetRows(int rows, IReadOnlyList<SampleRow> samples) => (_rows, _samples) = (rows, samples);

    public IterationReport Report()
    {
        var seconds = Stopwatch.GetElapsedTime(_started).TotalSeconds;
        _metrics["perf/step_s"] = seconds;
        if (_rows > 0)
            _metrics["perf/samples_per_s"] = _rows / Math.Max(seconds, 1e-9);
        return new IterationReport(iteration, purpose, _metrics, _samples);
    }
}
