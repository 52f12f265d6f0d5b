using System.Diagnostics;
using ColossalChat.Contracts;
using ColossalChat.Host.Runs;
using OpenTelemetry;

namespace ColossalChat.Host.Telemetry;

/// <summary>Spans as lines of JSON, for people without a collector.</summary>
/// <param name="file">Appended to.</param>
/// <param name="log">Told when the file cannot be written any more.</param>
internal sealed class TraceFile(string file, INodeLog log) : BaseExporter<Activity>
{
    private readonly JsonLines _lines = new(file);
    private bool _isBroken;

    /// <inheritdoc/>
    public override ExportResult Export(in Batch<Activity> batch)
    {
        if (_isBroken)
            return ExportResult.Failure;
        try
        {
            foreach (var span in batch)
                _lines.Append(SpanLine.Of(span));
            return ExportResult.Success;
        }
        catch (IOException error)
        {
            _isBroken = true;
            log.Warning($"Spans cannot be written to {file} any more: {error.Message}");
            return ExportResult.Failure;
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _lines.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>A line of traces.jsonl.</summary>
/// <param name="Trace">Id of the batch's trace, 32 hexadecimal digits.</param>
/// <param name="Span">Id of the span, 16 hexadecimal digits.</param>
/// <param name="Parent">Id of the span above it; empty for a batch.</param>
/// <param name="Name">What was done.</param>
/// <param name="Start">When it was begun.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="Error">Why it failed; null when it did not.</param>
/// <param name="Attributes">What else is known: batch, role, node, rows, tokens, ...</param>
internal sealed record SpanLine(
    string Trace, string Span, string Parent, string Name, DateTime Start, double Seconds, string? Error, IReadOnlyDictionary<string, object?> Attributes)
{
    /// <summary>Of a span that has ended.</summary>
    public static SpanLine Of(Activity span) => new(
        span.TraceId.ToHexString(),
        span.SpanId.ToHexString(),
        span.ParentSpanId == default ? "" : span.ParentSpanId.ToHexString(),
        span.OperationName,
        span.StartTimeUtc,
        span.Duration.TotalSeconds,
        span.Status == ActivityStatusCode.Error ? span.StatusDescription : null,
        span.TagObjects.ToDictionary(tag => tag.Key, tag => tag.Value));
}
