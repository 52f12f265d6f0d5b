using System.Diagnostics;
using System.Runtime.CompilerServices;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>The span under which all spans of a batch hang, whichever node they come from.</summary>
internal static class RootSpan
{
    /// <summary>Tells of a batch that has come to its end.</summary>
    public static void Write(FlowContext flow, BatchId batch, DateTimeOffset from, DateTimeOffset to, string outcome)
    {
        var run = flow.Definition.RunId;
        using var span = RunTelemetry.Source.StartActivity(
            "batch", ActivityKind.Internal, new ActivityContext(TraceIds.TraceOf(run, batch), default, ActivityTraceFlags.None), startTime: from);
        if (span is null)
            return;
        SpanIdOf(span) = TraceIds.RootOf(run, batch, flow.Epoch).ToHexString();
        SpanTags.Add(span, batch, flow.Epoch);
        span.SetTag("run", run);
        span.SetTag("outcome", outcome);
        span.SetEndTime(to.UtcDateTime);
    }

    // An activity draws its own id and has no public way to be given one. The spans on other nodes need to know the root's
    // without being told, so its field is set; a test holds that it works with the framework in use.
    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_spanId")]
    private static extern ref string? SpanIdOf(Activity activity);
}

/// <summary>What spans say about their batch.</summary>
internal static class SpanTags
{
    public static void Add(Activity span, BatchId batch, long epoch)
    {
        span.SetTag("batch", batch.ToString());
        span.SetTag("iteration", batch.Iteration);
        span.SetTag("shard", batch.Shard);
        span.SetTag("epoch", epoch);
    }
}
