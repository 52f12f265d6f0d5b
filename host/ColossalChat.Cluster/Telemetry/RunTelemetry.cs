using System.Diagnostics;
using System.Diagnostics.Metrics;
using Akka.Event;

namespace ColossalChat.Cluster;

/// <summary>
/// What runs tell about themselves, in the terms of the base class library: whoever wants it listens to
/// <see cref="Name"/>. While nobody does, a role call costs two time stamps and a few comparisons.
/// </summary>
public static class RunTelemetry
{
    /// <summary>Name of the activity source (traces) and of the meter (metrics).</summary>
    public const string Name = "ColossalChat";

    private static readonly Meter s_meter = new(Name);

    // From a mock role's microseconds to the half hour that a call may take.
    private static readonly InstrumentAdvice<double> s_seconds = new()
    {
        HistogramBucketBoundaries = [0.001, 0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800],
    };

    internal static ActivitySource Source { get; } = new(Name);

    internal static Counter<long> Batches { get; } = s_meter.CreateCounter<long>("colossalchat.batches", "{batch}", "Batches whose parts were all there, by purpose.");

    internal static Counter<long> TokensWritten { get; } = s_meter.CreateCounter<long>("colossalchat.tokens.written", "{token}", "Tokens that the policy wrote, by purpose.");

    internal static Counter<long> TokensTrained { get; } = s_meter.CreateCounter<long>("colossalchat.tokens.trained", "{token}", "Tokens of the sequences trained on, prompts included.");

    internal static Counter<long> TokensByStaleness { get; } = s_meter.CreateCounter<long>(
        "colossalchat.tokens.by_staleness", "{token}", "Tokens trained on, by how many updates older than the policy the weights were that wrote them.");

    internal static Histogram<double> CallDuration { get; } = s_meter.CreateHistogram(
        "colossalchat.role.call.duration", "s", "Computing time of role calls, by role, call and outcome.", tags: null, s_seconds);

    internal static Histogram<double> DeviceWait { get; } = s_meter.CreateHistogram(
        "colossalchat.role.device_wait.duration", "s", "Waiting time of role calls for their turn on the device, by role.", tags: null, s_seconds);

    internal static Gauge<int> Queue { get; } = s_meter.CreateGauge<int>("colossalchat.role.queue", "{call}", "Calls that wait for a role, by role.");

    internal static Gauge<double> IdleShare { get; } = s_meter.CreateGauge<double>(
        "colossalchat.role.idle_share", "1", "Share of the last iteration in which a role computed nothing, 0 to 1, by role.");

    internal static Gauge<int> Credits { get; } = s_meter.CreateGauge<int>("colossalchat.credits.in_flight", "{batch}", "Batches between prompts and experience.");

    internal static Counter<long> Failures { get; } = s_meter.CreateCounter<long>("colossalchat.role.failures", "{failure}", "Failed role calls, by role and repair (restart, rewind, none).");

    internal static Counter<long> LateMessages { get; } = s_meter.CreateCounter<long>("colossalchat.messages.late", "{message}", "Messages dropped because they came too late, by receiver.");

    internal static Histogram<double> CheckpointDuration { get; } = s_meter.CreateHistogram(
        "colossalchat.checkpoint.duration", "s", "Writing time of checkpoints, by outcome.", tags: null, s_seconds);

    internal static Counter<long> BytesPublished { get; } = s_meter.CreateCounter<long>("colossalchat.weights.published", "By", "Bytes of published weights, by model; none are counted where readers borrow the trainer's.");

    internal static Gauge<long> Iteration { get; } = s_meter.CreateGauge<long>("colossalchat.iteration", "{iteration}", "Last iteration that ended.");

    /// <summary>A role failed, and this is to be done about it.</summary>
    internal static void Failed(RoleFailed failed) => Failures.Add(
        1, new("role", failed.Role), new("repair", failed.Repair switch { Repair.Restart => "restart", Repair.Rewind => "rewind", _ => "none" }));

    /// <summary>A role dropped a message.</summary>
    internal static void Late(string role) => LateMessages.Add(1, new KeyValuePair<string, object?>("role", role));

    /// <summary>The iteration actor dropped a message.</summary>
    internal static void Late(ILoggingAdapter log, string what)
    {
        Late("iteration");
        log.Debug(what);
    }
}
