using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Node;

namespace ColossalChat.Host.Runs;

/// <summary>Writes what happens in a run into its folder, its sinks and the live line.</summary>
internal sealed class RunRecorder : IRunObserver, IDisposable
{
    private readonly RunFolder _folder;
    private readonly RecorderSettings _settings;
    private readonly ProgressLine _progress;
    private readonly JsonLines _events;
    private readonly Dictionary<string, double> _last = [];
    private readonly Lock _lock = new();
    private readonly RemainingTime _remaining;
    private readonly ProcessMetrics _process;
    private JsonLines? _metrics;
    private JsonLines? _samples;
    private double _skipped;

    public RunRecorder(RunFolder folder, RecorderSettings settings)
    {
        (_folder, _settings) = (folder, settings);
        (_remaining, _process) = (new RemainingTime(settings.Time), new ProcessMetrics(settings.Time));
        _progress = new ProgressLine(settings.Time, settings.Console.IsTerminal, line => settings.Show(line));
        _events = new JsonLines(folder.Events);
    }

    /// <summary>Last value of every metric.</summary>
    public IReadOnlyDictionary<string, double> Last
    {
        get
        {
            lock (_lock)
                return new Dictionary<string, double>(_last);
        }
    }

    /// <inheritdoc/>
    public void Started(long firstIteration, long iterations)
    {
        lock (_lock)
        {
            var dropped = _settings.IsResumed ? JsonLines.DropAfter(_folder.Metrics, firstIteration - 1) : 0;
            if (_settings.IsResumed)
                JsonLines.DropAfter(_folder.Samples, firstIteration - 1);
            _metrics ??= new JsonLines(_folder.Metrics);
            _samples ??= new JsonLines(_folder.Samples);
            var last = Math.Min(iterations, _settings.MaxIterations ?? iterations);
            _progress.Start(firstIteration, last);
            _remaining.Start(firstIteration, last);
            if (_settings.IsResumed && firstIteration > last)
                Note("complete", $"The run is complete: its checkpoint is after iteration {firstIteration - 1}, and that is all that was asked for; nothing is trained.");
            else
                Note("started", $"Iterations {firstIteration} to {iterations}.{(dropped > 0 ? $" Dropped {dropped} metric lines of iterations that will be made again." : "")}");
        }
    }

    /// <inheritdoc/>
    public void Reported(IterationReport report)
    {
        lock (_lock)
        {
            var purpose = report.Purpose == BatchPurpose.Train ? "train" : "evaluate";
            var metrics = new Dictionary<string, double>(report.Metrics);
            _process.AddTo(metrics);
            if (report.Purpose == BatchPurpose.Train)
                metrics[RemainingTime.Metric] = _remaining.After(report.Iteration);
            _metrics!.Append(new MetricsLine(report.Iteration, purpose, _settings.Time.GetUtcNow(), metrics));
            foreach (var (name, value) in metrics)
                _last[name] = value;
            _skipped += metrics.GetValueOrDefault("train/overflow_steps");
            foreach (var sink in _settings.Sinks)
                sink.Write(report.Iteration, metrics);
            if (_settings.SamplesEvery > 0 && (report.Purpose == BatchPurpose.Evaluate || report.Iteration % _settings.SamplesEvery == 0))
                foreach (var row in report.Samples)
                    _samples!.Append(new SampleLine(
                        report.Iteration, purpose, row.Prompt, row.Response, row.Score, row.Kl, row.Tokens, row.FinishReason.ToString().ToLowerInvariant()));
            _progress.Report(report with { Metrics = metrics });
        }
    }

    /// <inheritdoc/>
    public void Noted(string kind, string message)
    {
        lock (_lock)
            Note(kind, message);
    }

    /// <summary>The run ended by itself or was stopped.</summary>
    public void Ended(ExitCode code, long lastIteration)
    {
        lock (_lock)
        {
            if (_skipped > 0)
                _settings.Log.Warning($"{_skipped:0} updates were skipped, because their gradients were not finite. More than a few mean that the learning rate is too high.");
            Note(code.ToString().ToLowerInvariant(), $"Ended after iteration {lastIteration}.");
        }
    }

    /// <summary>The run failed: one line on the console, the same in the events.</summary>
    public void Failed(string reason, long lastIteration)
    {
        lock (_lock)
        {
            var message = lastIteration > 0 ? $"{reason} The run ended after iteration {lastIteration}." : reason;
            _settings.Log.Error(message);
            try
            {
                _events.Append(new EventLine(_settings.Time.GetUtcNow(), "failed", message));
            }
            catch (IOException error)
            {
                // The disk that is full may be why the run failed; that must not hide how it ended.
                _settings.Log.Warning($"The failure could not be written to {_folder.Events}: {error.Message}");
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _metrics?.Dispose();
        _samples?.Dispose();
        _events.Dispose();
    }

    private void Note(string kind, string message)
    {
        _events.Append(new EventLine(_settings.Time.GetUtcNow(), kind, message));
        if (kind == "warning")
            _settings.Log.Warning(message);
        else
            _settings.Log.Info($"{kind}: {message}");
    }
}

/// <summary>What a recorder works with.</summary>
/// <param name="Log">Takes notes.</param>
/// <param name="Console">Says whether a live line is drawn.</param>
/// <param name="Show">Draws the live line, or writes it where there is none.</param>
/// <param name="Sinks">Further takers of metrics; the caller disposes them.</param>
internal sealed record RecorderSettings(INodeLog Log, HostConsole Console, Action<string> Show, IReadOnlyList<IMetricSink> Sinks)
{
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Iterations between samples; 0 for none.</summary>
    public long SamplesEvery { get; init; } = 10;

    /// <summary>Iteration that the run ends after, where that was asked for; null for none.</summary>
    public long? MaxIterations { get; init; }

    /// <summary>True when the folder holds an earlier part of this run.</summary>
    public bool IsResumed { get; init; }
}
