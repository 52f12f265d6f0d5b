using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace ColossalChat.EndToEndTests;

/// <summary>What a run tells while it goes on: metrics that a Prometheus server fetches, spans and log lines as JSON.</summary>
[Trait("Category", "CI")]
public sealed class TelemetryTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    [DataFact]
    public async Task A_run_can_be_watched_from_outside()
    {
        var root = Repository.NewFolder("telemetry");
        var port = FreePort();
        var run = new TrainingRun(Path.Combine(root, "watched"));
        using var host = HostProcess.Start(
        [
            "train", "ppo", Path.Combine(AppContext.BaseDirectory, "Runs", "story-ppo.hocon"), $"run.folder={root}", "run.name=watched", .. StoryPpo.Settings(root),
            "stage.iterations=500", "stage.prompts-per-iteration=4", "stage.rows-per-batch=2", "stage.evaluation-prompts=2", "run.checkpoint-every=2",
            $"telemetry.prometheus-port={port}", "telemetry.trace-file=on", "telemetry.json-log=on",
        ]);
        host.WaitForCheckpoint(Path.Combine(run.Folder, "checkpoints", "step-00000002"), Limit);
        using var client = new HttpClient();
        var page = await client.GetStringAsync(new Uri($"http://127.0.0.1:{port}/metrics"));
        host.Signal("INT");
        var end = host.WaitForEnd(Limit);
        Assert.True(end.ExitCode == 130, end.Error);

        string[] names =
        [
            "colossalchat_batches_total", "colossalchat_tokens_written_total", "colossalchat_role_call_duration_seconds_bucket", "colossalchat_role_queue",
            "colossalchat_credits_in_flight", "colossalchat_role_idle_share", "colossalchat_tokens_by_staleness_total", "colossalchat_checkpoint_duration_seconds_count",
        ];
        Assert.All(names, name => Assert.Contains('\n' + name, page, StringComparison.Ordinal));

        // One trace for each batch, whole: prompts, answers and scores below one root; what is made of the window is in the first's.
        var spans = File.ReadLines(Path.Combine(run.Folder, "traces.jsonl")).Select(line => JsonSerializer.Deserialize<JsonElement>(line)).ToArray();
        var trace = spans.Where(span => Attribute(span, "batch") == "2.1").ToArray();
        Assert.Single(trace.Select(span => span.GetProperty("trace").GetString()).Distinct());
        var root1 = Assert.Single(trace, span => span.GetProperty("parent").GetString() == "");
        Assert.Equal("batch", root1.GetProperty("name").GetString());
        Assert.All(trace.Except([root1]), span => Assert.Equal(root1.GetProperty("span").GetString(), span.GetProperty("parent").GetString()));
        string[] calls = ["generate rollout", "score critic", "score reference", "score reward", "take prompts prompts"];
        Assert.Equal(calls, trace.Except([root1]).Select(span => $"{span.GetProperty("name").GetString()} {Attribute(span, "role")}").Order(StringComparer.Ordinal));
        Assert.Contains(spans, span => Attribute(span, "batch") == "2.0" && span.GetProperty("name").GetString() == "build experience");

        Assert.Contains("\"message\":\"run folder ", File.ReadAllText(Path.Combine(run.Folder, "log.jsonl")), StringComparison.Ordinal);
        Assert.Empty(new[] { "timing/idle_share/rollout", "timing/publish_s", "rollout/staleness_mean" }.Except(run.MetricNames()));
        var shown = HostProcess.Succeed(Limit, "run", "show", run.Folder);
        Assert.Contains("idle share of role", shown, StringComparison.Ordinal);
        Assert.Contains("staleness in updates", shown, StringComparison.Ordinal);
    }

    private static string Attribute(JsonElement span, string name) =>
        span.GetProperty("attributes").TryGetProperty(name, out var value) ? value.ToString() : "";

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
