using System.Diagnostics;
using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Times the calls of one role and tells them: a span in the batch's trace and a few numbers. It belongs to the role's
/// actor, which makes one call at a time.
/// </summary>
internal sealed class RoleWatch(FlowContext flow, string role, ActorSystem system)
{
    public const string Ok = "ok";
    public const string Failed = "failed";
    public const string OverTime = "over time";
    public const string Cancelled = "cancelled";

    private readonly KeyValuePair<string, object?> _role = new("role", role);
    private readonly string _node = NameOf(system);
    private long _sent;
    private long _computing;

    /// <summary>Where it runs: host and port of its cluster node, or the machine's name outside a cluster.</summary>
    public static string NameOf(ActorSystem system) =>
        ((ExtendedActorSystem)system).Provider.DefaultAddress is { Host: { } host } address ? $"{host}:{address.Port}" : Environment.MachineName;

    /// <summary>So many calls wait.</summary>
    public void Waiting(int calls) => RunTelemetry.Queue.Record(calls, _role);

    /// <summary>The role's thread gets the next call.</summary>
    public void Sent() => (_sent, _computing) = (Stopwatch.GetTimestamp(), 0);

    /// <summary>It has the device.</summary>
    public void Computing() => _computing = Stopwatch.GetTimestamp();

    /// <summary>The call came to an end.</summary>
    /// <param name="call">The call.</param>
    /// <param name="outcome">One of this type's words.</param>
    /// <param name="result">What it gave; null when it failed.</param>
    /// <param name="error">Why it failed; null when it did not.</param>
    public void Ended(ICallFacts call, string outcome, object? result, string? error = null)
    {
        var now = Stopwatch.GetTimestamp();
        var wait = Stopwatch.GetElapsedTime(_sent, _computing == 0 ? now : _computing);
        var compute = _computing == 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(_computing, now);
        if (RunTelemetry.CallDuration.Enabled)
            RunTelemetry.CallDuration.Record(compute.TotalSeconds, _role, new("call", NameOf(call.What).Name), new("outcome", outcome));
        RunTelemetry.DeviceWait.Record(wait.TotalSeconds, _role);
        if (result is WeightsPublication { Blob: { } blob } publication)
            RunTelemetry.BytesPublished.Add(blob.Bytes, new KeyValuePair<string, object?>("model", publication.Model));
        if (RunTelemetry.Source.HasListeners())
            Write(call, outcome, call.Size == default ? CallSize.Of(result) : call.Size, error, (now, wait, compute));
    }

    private void Write(ICallFacts call, string outcome, CallSize size, string? error, (long Now, TimeSpan Wait, TimeSpan Compute) times)
    {
        var (name, step) = NameOf(call.What);
        var (end, took) = (DateTimeOffset.UtcNow, Stopwatch.GetElapsedTime(_sent, times.Now));
        using var span = RunTelemetry.Source.StartActivity(
            name, ActivityKind.Internal, TraceIds.ContextOf(flow.Definition.RunId, call.Batch, flow.Epoch), startTime: end - took);
        if (span is null)
            return;
        SpanTags.Add(span, call.Batch, flow.Epoch);
        span.SetTag("role", role);
        span.SetTag("node", _node);
        span.SetTag("queue_wait_s", Stopwatch.GetElapsedTime(call.Asked, _sent).TotalSeconds);
        span.SetTag("device_wait_s", times.Wait.TotalSeconds);
        span.SetTag("compute_s", times.Compute.TotalSeconds);
        span.SetTag("outcome", outcome);
        if (step is not null)
            span.SetTag("step", step);
        if (size.Rows > 0)
            span.SetTag("rows", size.Rows);
        if (size.Tokens > 0)
            span.SetTag("tokens", size.Tokens);
        if (size.Bytes > 0)
            span.SetTag("bytes", size.Bytes);
        if (error is not null)
            span.SetStatus(ActivityStatusCode.Error, error);
        span.SetEndTime(end.UtcDateTime);
    }

    /// <summary>"compute step 3" is the call "compute step", number 3: names of spans and labels of metrics are few.</summary>
    internal static (string Name, int? Step) NameOf(string what)
    {
        var space = what.LastIndexOf(' ');
        return space > 0 && int.TryParse(what.AsSpan(space + 1), out var step) ? (what[..space], step) : (what, null);
    }
}

/// <summary>What a watch needs to know of a call.</summary>
internal interface ICallFacts
{
    /// <summary>The batch it is for.</summary>
    BatchId Batch { get; }

    /// <summary>A verb, such as <c>generate</c>.</summary>
    string What { get; }

    /// <summary>When it was asked for; a time stamp of <see cref="Stopwatch"/>.</summary>
    long Asked { get; }

    /// <summary>What it works on, where its result does not tell.</summary>
    CallSize Size { get; }
}
