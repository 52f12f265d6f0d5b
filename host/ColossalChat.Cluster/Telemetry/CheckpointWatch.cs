using System.Diagnostics;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Tells of written checkpoints.</summary>
internal static class CheckpointWatch
{
    /// <summary>A checkpoint is on disk, or failed to get there.</summary>
    /// <param name="run"><see cref="RunDefinition.RunId"/>.</param>
    /// <param name="state">What was written.</param>
    /// <param name="took">How long it took.</param>
    /// <param name="error">Why it failed; null when it did not.</param>
    public static void Ended(string run, RunState state, TimeSpan took, string? error = null)
    {
        var outcome = error is null ? RoleWatch.Ok : RoleWatch.Failed;
        RunTelemetry.CheckpointDuration.Record(took.TotalSeconds, new KeyValuePair<string, object?>("outcome", outcome));
        if (!RunTelemetry.Source.HasListeners())
            return;
        var batch = new BatchId(state.Iteration, 0);
        using var span = RunTelemetry.Source.StartActivity(
            "write checkpoint", ActivityKind.Internal, TraceIds.ContextOf(run, batch, state.Epoch), startTime: DateTimeOffset.UtcNow - took);
        if (span is null)
            return;
        SpanTags.Add(span, batch, state.Epoch);
        span.SetTag("outcome", outcome);
        if (error is not null)
            span.SetStatus(ActivityStatusCode.Error, error);
    }
}
