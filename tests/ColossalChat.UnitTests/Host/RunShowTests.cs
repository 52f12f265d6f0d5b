using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Host.Cli;
using ColossalChat.Host.Runs;
using Xunit;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class RunShowTests : IDisposable
{
    private readonly RunFolder _folder = new(Directory.CreateTempSubdirectory("colossalchat-show-").FullName);

    public RunShowTests()
    {
        File.WriteAllText(_folder.EnvironmentFile, "{\"command_line\": \"train ppo x.hocon\"}");
        using var metrics = new JsonLines(_folder.Metrics);
        metrics.Append(Line(0, "evaluate", ("timing/generate_s", 100), ("perf/step_s", 200)));
        metrics.Append(Line(1, "train", ("perf/step_s", 10), ("timing/generate_s", 6), ("timing/learn_s", 2), ("timing/publish_s", 1),
            ("timing/idle_share/rollout", 0.4), ("rollout/staleness_mean", 0), ("rollout/staleness_max", 0), ("rollout/staleness_share/0", 1)));
        metrics.Append(Line(2, "train", ("perf/step_s", 20), ("timing/generate_s", 4), ("timing/learn_s", 12), ("timing/save_wait_s", 2),
            ("timing/idle_share/rollout", 0.8), ("rollout/staleness_mean", 4.25), ("rollout/staleness_max", 17), ("rollout/staleness_share/0", 0.75), ("rollout/staleness_share/16+", 0.25)));
    }

    public void Dispose() => Directory.Delete(_folder.Path, recursive: true);

    [Fact]
    public async Task Phases_idle_shares_and_staleness_are_means_over_training_iterations()
    {
        var page = await ShowAsync("--json");
        using var json = JsonDocument.Parse(page);
        var times = json.RootElement.GetProperty("times");

        Assert.Equal((2, 15d), (times.GetProperty("iterations").GetInt32(), times.GetProperty("step_seconds").GetDouble()));
        var phases = times.GetProperty("phases");
        Assert.Equal(["generate", "learn", "publish", "wait for checkpoint", "other"], phases.EnumerateObject().Select(phase => phase.Name));
        Assert.Equal((5, 0.4, 0.2), Phase("generate"));
        Assert.Equal((7, 0.4, 0.6), Phase("learn"));
        Assert.Equal((0.5, 0.05, 0), Phase("publish"));
        Assert.Equal((1.5, 0.1, 0.1), Phase("other"));
        var idle = times.GetProperty("idle").GetProperty("rollout");
        Assert.Equal((0.6, 0.4, 0.8, 0.8), (Round(idle, "mean"), Round(idle, "min"), Round(idle, "max"), Round(idle, "last")));
        var staleness = times.GetProperty("staleness");
        Assert.Equal((2.125, 17), (Round(staleness, "mean"), Round(staleness, "max")));
        Assert.Equal((0.875, 0.125), (Round(staleness.GetProperty("shares"), "0"), Round(staleness.GetProperty("shares"), "16+")));

        (double, double, double) Phase(string name) => (Round(phases.GetProperty(name), "mean_seconds"), Round(phases.GetProperty(name), "mean_share"), Round(phases.GetProperty(name), "last_share"));
    }

    [Fact]
    public async Task The_page_shows_the_same_numbers()
    {
        var lines = (await ShowAsync()).Split('\n').Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries))).ToArray();

        Assert.Contains("begun with: colossalchat train ppo x.hocon", lines);
        Assert.Contains("generate 5 40.0 % 20.0 %", lines);
        Assert.Contains("other 1.5 10.0 % 10.0 %", lines);
        Assert.Contains("rollout 60.0 % 40.0 % 80.0 % 80.0 %", lines);
        Assert.Contains("staleness in updates tokens mean 2.125, max 17", lines);
        Assert.Contains("16+ 12.5 %", lines);
    }

    [Fact]
    public async Task A_run_from_before_the_numbers_were_kept_is_shown_without_them()
    {
        File.WriteAllText(_folder.Metrics, "");
        using (var metrics = new JsonLines(_folder.Metrics))
            metrics.Append(Line(1, "train", ("train/loss", 3)));

        var page = await ShowAsync();
        Assert.Contains("train/loss", page, StringComparison.Ordinal);
        Assert.DoesNotContain("phase of", page, StringComparison.Ordinal);
    }

    private static double Round(JsonElement at, string name) => Math.Round(at.GetProperty(name).GetDouble(), 9);

    private static MetricsLine Line(long iteration, string purpose, params (string Name, double Value)[] metrics) =>
        new(iteration, purpose, DateTimeOffset.UnixEpoch, metrics.ToDictionary(metric => metric.Name, metric => metric.Value));

    private async Task<string> ShowAsync(params string[] more)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = await HostProgram.RunAsync(["run", "show", _folder.Path, .. more], output, error, isTerminal: false);
        Assert.True(code == ExitCode.Ok, error.ToString());
        return output.ToString();
    }
}
