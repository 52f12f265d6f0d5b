using System.Text.Json;
using ColossalChat.Tests;

namespace ColossalChat.EndToEndTests;

/// <summary>
/// PPO on a small model, whose policy loss and reward are exchanged by the verb while it goes on: no iteration is lost, old
/// versions leave the memory, and candidates that do not stand their trial are rolled back.
/// </summary>
public sealed class SwapTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);

    [DataFact]
    [Trait("Category", "CI")]
    public Task Two_swaps_of_loss_and_reward() => SwapAsync(times: 2);

    [DataFact]
    [Trait("Category", "Full")]
    public Task Ten_swaps_of_loss_and_reward() => SwapAsync(times: 10);

    [DataFact]
    [Trait("Category", "CI")]
    public async Task What_is_built_into_a_watched_folder_is_taken_over()
    {
        var root = Repository.NewFolder("watch");
        var versions = await SwapVersions.BuildAsync(root, withBroken: false);
        var run = new TrainingRun(Path.Combine(root, "run"));
        using var host = HostProcess.Start(Arguments(root, versions, "plugins.watch=on"));
        WaitForIterations(host, run, 2);

        PluginVersions.Install(versions.Rewards[1], versions.Installed, "SampleReward");
        WaitFor(host, () => Events(run, "swap").Any(text => text.Contains("SampleReward 1.0.0 -> 2.0.0", StringComparison.Ordinal)), "the swap");
        WaitFor(host, () => Events(run, "swap").Any(text => text.Contains("SampleReward 1.0.0 is unloaded", StringComparison.Ordinal)), "the end of the old version");

        host.Signal("INT");
        Assert.Equal(130, host.WaitForEnd(Limit).ExitCode);
        Assert.Equal([0.5f, 0.25f], run.Curve("reward/score").Select(point => (float)point.Value).Distinct());
    }

    [DataFact]
    [Trait("Category", "Full")]
    public async Task A_rank_in_another_process_is_exchanged_with_the_others()
    {
        var root = Repository.NewFolder("swap-ranks");
        var versions = await SwapVersions.BuildAsync(root, withBroken: true);
        var run = new TrainingRun(Path.Combine(root, "run"));
        using var host = HostProcess.Start(Arguments(root, versions, "trainer.ranks=2", "trainer.processes=1", "roles.trainers.policy.engine.sharding=zero1", "roles.trainers.critic.engine.sharding=zero1"));
        WaitForIterations(host, run, 1);

        var (code, output) = Swap(run, "SampleLoss", versions.Losses[1]);
        Assert.True(code == 0 && output.Contains("trainers.policy@1", StringComparison.Ordinal), output);
        var (broken, why) = Swap(run, "SampleLoss", versions.Broken[1].Folder);
        Assert.True(broken == 1 && why.Contains("not finite", StringComparison.Ordinal), why);
        WaitForIterations(host, run, LastIteration(run) + 2);

        host.Signal("INT");
        Assert.Equal(130, host.WaitForEnd(Limit).ExitCode);
        Assert.DoesNotContain("restart", Kinds(run));
    }

    private static async Task SwapAsync(int times)
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("swap");
        var versions = await SwapVersions.BuildAsync(root, withBroken: true);
        var run = new TrainingRun(Path.Combine(root, "run"));
        using var host = HostProcess.Start(Arguments(root, versions));
        WaitForIterations(host, run, 1);

        var swapped = 0;
        for (var time = 0; time < times; time++)
            foreach (var (plugin, folders) in (IEnumerable<(string, string[])>)[("SampleLoss", versions.Losses), ("SampleReward", versions.Rewards)])
            {
                var (code, output) = Swap(run, plugin, folders[(time + 1) % 2]);
                Assert.True(code == 0, output);
                swapped++;
            }

        var broken = versions.Broken.Select(candidate => Swap(run, candidate.Plugin, candidate.Folder)).ToArray();
        Assert.All(broken, answer => Assert.True(answer.Code == 1, answer.Output));
        Assert.Contains("the thing is broken", broken[0].Output, StringComparison.Ordinal);
        Assert.Contains("not finite", broken[1].Output, StringComparison.Ordinal);
        var refused = Swap(run, "SampleLoss", versions.Rewards[0]);
        Assert.True(refused.Code == 3, refused.Output);

        var before = LastIteration(run);
        WaitForIterations(host, run, before + 2);
        var gone = swapped + broken.Length;
        WaitFor(host, () => Unloaded(run) >= gone, $"{gone} versions to be unloaded, of which {Unloaded(run)} are. {string.Join('\n', Events(run, "warning"))}");
        host.Signal("INT");
        Assert.Equal(130, host.WaitForEnd(Limit).ExitCode);

        var iterations = run.Curve("policy/loss").Select(point => point.Iteration).ToArray();
        Assert.Equal(Enumerable.Range(1, iterations.Length).Select(iteration => (long)iteration), iterations);
        Assert.DoesNotContain("restart", Kinds(run));
        Assert.Equal([0.5f, 0.25f], run.Curve("reward/score").Select(point => (float)point.Value).Distinct().OrderDescending());
        Assert.Equal(4, Swap(run, "SampleLoss", versions.Losses[0]).Code);
        figures.Check("Swap of policy loss and reward during one run", $"{2 * times} swaps, no iteration lost, old contexts collected, broken candidates rolled back",
            $"{swapped} swaps over {iterations.Length} iterations, each reported once; {Unloaded(run)} of {gone} contexts collected; {broken.Count(answer => answer.Code == 1)} of {broken.Length} broken candidates rolled back",
            swapped == 2 * times && Unloaded(run) == gone);
    }

    private static (int Code, string Output) Swap(TrainingRun run, string plugin, string folder)
    {
        var result = HostProcess.Run(Limit, "plugin", "swap", plugin, folder, "--run", run.Folder);
        return (result.ExitCode, result.Output + result.Error);
    }

    private static string[] Arguments(string root, SwapVersions versions, params string[] more) =>
        TrainingRun.Arguments(root, "run", "ppo", "story-ppo.hocon", StoryPpo.Settings(root, [.. versions.Settings, .. more]));

    private static void WaitForIterations(HostProcess host, TrainingRun run, long iteration) =>
        WaitFor(host, () => LastIteration(run) >= iteration, $"iteration {iteration}");

    private static long LastIteration(TrainingRun run) => Lines(run, "metrics.jsonl").Select(line => line.GetProperty("iteration").GetInt64()).DefaultIfEmpty(0).Max();

    private static int Unloaded(TrainingRun run) => Events(run, "swap").Count(text => text.Contains("is unloaded", StringComparison.Ordinal));

    private static IEnumerable<string> Kinds(TrainingRun run) => Lines(run, "events.jsonl").Select(line => line.GetProperty("kind").GetString()!);

    private static IEnumerable<string> Events(TrainingRun run, string kind) => Lines(run, "events.jsonl")
        .Where(line => line.GetProperty("kind").GetString() == kind).Select(line => line.GetProperty("message").GetString()!);

    // Another process is writing: its last line may be half there.
    private static IEnumerable<JsonElement> Lines(TrainingRun run, string file)
    {
        var path = Path.Combine(run.Folder, file);
        if (!File.Exists(path))
            yield break;
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        var text = reader.ReadToEnd();
        foreach (var line in text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries))
            yield return JsonDocument.Parse(line).RootElement;
    }

    private static void WaitFor(HostProcess host, Func<bool> isSo, string what)
    {
        var deadline = DateTime.UtcNow + Limit;
        using var pause = new ManualResetEventSlim();
        while (!isSo())
        {
            Assert.True(DateTime.UtcNow < deadline && !host.HasEnded, $"Waited for {what}.\n{host.Error}");
            pause.Wait(TimeSpan.FromMilliseconds(20));
        }
    }
}
