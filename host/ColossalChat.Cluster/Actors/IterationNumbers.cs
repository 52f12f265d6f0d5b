using System.Diagnostics;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>What one iteration or measurement adds up to.</summary>
internal sealed class IterationNumbers(long iteration, BatchPurpose purpose)
{
    private readonly long _started = Stopwatch.GetTimestamp();
    private readonly SortedDictionary<string, double> _metrics = new(StringComparer.Ordinal);
    private IReadOnlyList<SampleRow> _samples = [];
    private WindowSize _size;
    private long _published;

    /// <summary>What the roles were busy with.</summary>
    public IdleShares Idle { get; init; } = new();

    public void Set(IReadOnlyDictionary<string, double> metrics)
    {
        foreach (var (name, value) in metrics)
            _metrics[name] = value;
    }

    /// <summary>Takes a trainer rank's numbers: work done adds up, of the rest rank 0 knows the group's.</summary>
    public void SetShare(int rank, IReadOnlyDictionary<string, double> metrics)
    {
        foreach (var (name, value) in metrics)
        {
            if (name.StartsWith("perf/tflops", StringComparison.Ordinal))
                Add(name, value);
            else if (rank == 0)
                _metrics[name] = value;
        }
    }

    public void Add(string name, double value) => _metrics[name] = _metrics.GetValueOrDefault(name) + value;

    public void SetSize(WindowSize size, IReadOnlyList<SampleRow> samples) => (_size, _samples) = (size, samples);

    public WindowSize Size => _size;

    /// <summary>The x-axes of a run beside its iterations: samples, tokens and, of a data set, passes over it.</summary>
    public void SetTotals(RunTotals totals, double samplesPerEpoch)
    {
        _metrics["train/samples"] = totals.Samples;
        _metrics["train/tokens"] = totals.Tokens;
        if (samplesPerEpoch > 0)
            _metrics["train/epoch"] = totals.Samples / samplesPerEpoch;
    }

    /// <summary>Offline: until here training waited for its batch.</summary>
    public void DataArrived() => _metrics["perf/data_wait_s"] = Stopwatch.GetElapsedTime(_started).TotalSeconds;

    /// <summary>From here on new weights are spread; the iteration ends when all readers have them.</summary>
    public void PublishBegan() => _published = Stopwatch.GetTimestamp();

    public IterationReport Report()
    {
        var seconds = Stopwatch.GetElapsedTime(_started).TotalSeconds;
        if (_published > 0)
            _metrics["timing/publish_s"] = Stopwatch.GetElapsedTime(_published).TotalSeconds;
        if (purpose == BatchPurpose.Train)
        {
            Idle.AddTo(_metrics, seconds);
            RunTelemetry.TokensTrained.Add(_size.Tokens);
            RunTelemetry.Iteration.Record(iteration);
        }

        if (_size.Written > 0)
            RunTelemetry.TokensWritten.Add(_size.Written, Purposes.LabelOf(purpose));
        _metrics["perf/step_s"] = seconds;
        if (_size.Rows > 0)
        {
            _metrics["perf/samples_per_s"] = _size.Rows / Math.Max(seconds, 1e-9);
            _metrics["perf/tokens_per_s"] = _size.Tokens / Math.Max(seconds, 1e-9);
        }

        if (_size.Written > 0 && _metrics.TryGetValue("timing/generate_s", out var generating))
            _metrics["gen/tokens_per_s"] = _size.Written / Math.Max(generating, 1e-9);
        return new IterationReport(iteration, purpose, _metrics, _samples);
    }
}
