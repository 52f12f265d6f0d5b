using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.EndToEndTests;

/// <summary>
/// One run that is killed (SIGKILL) again and again, at random moments of training and of checkpoint writes: it always goes
/// on after the last step it committed, and ends with the weights of a run that nobody disturbed, bit for bit.
/// </summary>
public sealed class KillTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(8);

    [DataFact]
    [Trait("Category", "CI")]
    public void A_run_killed_twice() => KillAndResume(kills: 2, iterations: 12);

    [DataFact]
    [Trait("Category", "Full")]
    public void A_run_killed_twenty_times() => KillAndResume(kills: 20, iterations: 80);

    private static void KillAndResume(int kills, int iterations)
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("kills");
        var settings = Settings(iterations);
        var whole = TrainingRun.Run(root, "whole", "sft", "sft-instruct.hocon", Limit, settings);
        var (pace, writing) = (PaceOf(whole), TimeSpan.FromSeconds(Median(whole.Curve("timing/save_s").Select(point => point.Value))));
        var arguments = TrainingRun.Arguments(root, "killed", "sft", "sft-instruct.hocon", settings);
        var killed = new TrainingRun(Path.Combine(root, "killed"));
        var moments = new RandomKey(20, RandomPurpose.Data);

        var duringWrites = 0;
        for (var kill = 0; kill < kills; kill++)
        {
            using var host = HostProcess.Start(kill == 0 ? arguments : [.. arguments, "--resume", "latest"]);
            var first = Committed(killed);
            Await(host, () => Events(killed, "started").Count > kill);
            if (kill > 0)
                Assert.Contains($"after iteration {first.ToString(CultureInfo.InvariantCulture)} ", Events(killed, "resumed")[^1], StringComparison.Ordinal);

            // Without any checkpoint there is nothing to resume, so the first life lasts until there is one.
            var checkpoints = Math.Max(kill == 0 ? 1 : 0, (int)(moments.Uniform(2 * kill) * 3));
            Await(host, () => Committed(killed) >= first + checkpoints);

            // Every other one while a checkpoint is written, however short that is.
            var aimsAtWrite = kill % 2 == 1;
            if (aimsAtWrite)
                Await(host, () => IsWriting(killed));
            Pause((aimsAtWrite ? writing : pace) * moments.Uniform((2 * kill) + 1));
            Assert.False(host.HasEnded, $"The run had ended before kill {kill + 1} of {kills}; it needs more than {iterations} iterations.\n{host.Error}");
            host.Kill();
            host.WaitUntilGone(Limit);
            duringWrites += IsWriting(killed) ? 1 : 0;
        }

        var last = Committed(killed);
        HostProcess.Succeed(Limit, [.. arguments, "--resume", "latest"]);
        Assert.Contains($"after iteration {last.ToString(CultureInfo.InvariantCulture)} ", Events(killed, "resumed")[^1], StringComparison.Ordinal);
        Assert.Equal(Enumerable.Range(1, iterations).Select(i => (long)i), killed.Curve("train/loss").Select(point => point.Iteration));
        Assert.Equal(whole.Curve("train/loss"), killed.Curve("train/loss"));
        var isEqual = whole.HashOf("policy") == killed.HashOf("policy");
        figures.Check($"SIGKILL at random moments, {kills} times", "goes on after the last committed step, same weights bit for bit",
            $"{kills} of {kills} resumed, {duringWrites} killed during a write, the last one after iteration {last} of {iterations}, weights {(isEqual ? "equal" : "different")}", isEqual);
    }

    private static string[] Settings(int iterations) =>
    [
        $"models.policy.path={Repository.DataPath("stories260K")}",
        $"roles.batches.files=[\"{Repository.DataPath("instruct", "alpaca_en_demo.json")}\"]",
        string.Create(CultureInfo.InvariantCulture, $"roles.batches.epochs={iterations / 192.0}"),
        "roles.batches.batch-size=4", "roles.batches.max-tokens=64", "roles.batches.held-out=4", "stage.evaluate-every=-1", "run.checkpoint-every=1",
    ];

    /// <summary>Last iteration whose checkpoint has its final name; 0 before the first.</summary>
    private static long Committed(TrainingRun run)
    {
        var parent = Path.Combine(run.Folder, "checkpoints");
        return !Directory.Exists(parent)
            ? 0
            : Directory.GetDirectories(parent, "step-*").Select(folder => long.Parse(Path.GetFileName(folder)[5..], CultureInfo.InvariantCulture)).DefaultIfEmpty(0).Max();
    }

    private static bool IsWriting(TrainingRun run) =>
        Directory.Exists(Path.Combine(run.Folder, "checkpoints")) && Directory.GetDirectories(Path.Combine(run.Folder, "checkpoints"), ".*.unfinished").Length > 0;

    private static List<string> Events(TrainingRun run, string kind)
    {
        var file = Path.Combine(run.Folder, "events.jsonl");
        return !File.Exists(file) ? [] : [.. Lines(file).Where(line => line.GetProperty("kind").GetString() == kind).Select(line => line.GetProperty("message").GetString()!)];
    }

    // A line that is being written, or was when its writer was killed, does not count.
    private static IEnumerable<JsonElement> Lines(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var reader = new StreamReader(stream);
        return [.. reader.ReadToEnd().Split('\n')[..^1].Where(line => line.EndsWith('}')).Select(line => JsonElement.Parse(line))];
    }

    /// <summary>Usual time from one iteration to the next.</summary>
    private static TimeSpan PaceOf(TrainingRun run)
    {
        var times = Lines(Path.Combine(run.Folder, "metrics.jsonl")).Select(line => line.GetProperty("time").GetDateTimeOffset()).ToArray();
        return TimeSpan.FromSeconds(Median(times.Zip(times.Skip(1), (before, after) => (after - before).TotalSeconds)));
    }

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }

    private static void Await(HostProcess host, Func<bool> condition)
    {
        var deadline = Stopwatch.GetTimestamp() + (long)(Limit.TotalSeconds * Stopwatch.Frequency);
        while (!condition())
        {
            Assert.True(Stopwatch.GetTimestamp() < deadline && !host.HasEnded, $"It did not come so far.\n{host.Error}");
            Pause(TimeSpan.FromMilliseconds(2));
        }
    }

    private static void Pause(TimeSpan time)
    {
        using var pause = new ManualResetEventSlim();
        pause.Wait(time);
    }
}
