using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster.Tests;

/// <summary>Keeps all spans that end while it is there.</summary>
internal sealed class SpanListener : IDisposable
{
    private readonly ActivityListener _listener;
    private readonly ConcurrentQueue<Activity> _spans = new();

    public SpanListener()
    {
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == RunTelemetry.Name,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = _spans.Enqueue,
        };
        ActivitySource.AddActivityListener(_listener);
    }

    public IReadOnlyCollection<Activity> All => _spans;

    public IReadOnlyList<Activity> Of(string run, BatchId batch) => [.. _spans.Where(span => span.TraceId == TraceIds.TraceOf(run, batch))];

    /// <summary>Call and role of each span, sorted.</summary>
    public IReadOnlyList<string> NamesOf(string run, BatchId batch) =>
        [.. Of(run, batch).Select(span => $"{span.OperationName} {span.GetTagItem("role")}".TrimEnd()).Order()];

    public void Dispose() => _listener.Dispose();
}

/// <summary>Keeps all measurements that are made while it is there.</summary>
internal sealed class MetricListener : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentQueue<(string Name, double Value, string[] Labels)> _values = new();

    public MetricListener()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == RunTelemetry.Name)
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<int>((instrument, value, labels, _) => Keep(instrument, value, labels));
        _listener.SetMeasurementEventCallback<long>((instrument, value, labels, _) => Keep(instrument, value, labels));
        _listener.SetMeasurementEventCallback<double>((instrument, value, labels, _) => Keep(instrument, value, labels));
        _listener.Start();
    }

    public double Sum(string name, params string[] labels) => Of(name, labels).Sum();

    public int Count(string name, params string[] labels) => Of(name, labels).Count();

    public double Max(string name, params string[] labels) => Of(name, labels).Max();

    public double Last(string name, params string[] labels) => Of(name, labels).Last();

    public void Dispose() => _listener.Dispose();

    private IEnumerable<double> Of(string name, string[] labels) =>
        _values.Where(value => value.Name == name && labels.All(value.Labels.Contains)).Select(value => value.Value);

    private void Keep(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> labels)
    {
        var names = new string[labels.Length];
        for (var i = 0; i < labels.Length; i++)
            names[i] = $"{labels[i].Key}={labels[i].Value}";
        _values.Enqueue((instrument.Name, value, names));
    }
}
