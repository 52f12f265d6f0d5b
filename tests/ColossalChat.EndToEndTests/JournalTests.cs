using System.Diagnostics;
using System.Text.Json;
using ColossalChat.Journal;

namespace ColossalChat.EndToEndTests;

/// <summary>The journal of a real PPO run: iterations replayed to the same bits, other losses compared, kills survived.</summary>
public sealed class JournalTests
{
    private const string LossProject = """
        <Project Sdk="Microsoft.NET.Sdk"><Import Project="$(COLOSSALCHAT_HOME)/sdk/ColossalChat.Plugin.props"/>
        </Project>
        """;

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    [DataFact]
    [Trait("Category", "CI")]
    public void Every_iteration_replays_to_the_same_bits_and_another_loss_is_compared() => ReplayAll(6);

    [DataFact]
    [Trait("Category", "Full")]
    public void Every_one_of_20_iterations_replays_to_the_same_bits() => ReplayAll(20);

    [DataFact]
    [Trait("Category", "CI")]
    public void Iterations_of_several_ranks_replay_too()
    {
        var root = Repository.NewFolder("replay-ranks");
        var run = TrainingRun.Run(root, "run", "ppo", "story-ppo.hocon", Limit, Settings(
            root, 2, "trainer.ranks=2", "trainer.processes=1", "roles.trainers.policy.engine.sharding.use=zero2", "roles.trainers.critic.engine.sharding.use=zero1"));
        Assert.True(Replay(run, 2).GetProperty("identical").GetBoolean());
    }

    [DataFact]
    [Trait("Category", "CI")]
    public void A_run_killed_within_an_iteration_makes_its_answers_once()
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("journal-kill");
        string[] settings = Settings(root, 6, "stage.rows-per-batch=2", "run.checkpoint-every=1");
        var whole = TrainingRun.Run(root, "whole", "ppo", "story-ppo.hocon", Limit, settings);
        var (killed, arguments) = (new TrainingRun(Path.Combine(root, "killed")), TrainingRun.Arguments(root, "killed", "ppo", "story-ppo.hocon", settings));
        var journal = JournalFolder.Of(killed.Folder);
        int Rollouts(long iteration)
        {
            using var view = JournalView.Open(journal);
            return view.Of(iteration).Count(record => record.Key.Type == RecordType.Rollout);
        }

        int before;
        using (var host = HostProcess.Start(arguments))
        {
            host.WaitForCheckpoint(Path.Combine(killed.Folder, "checkpoints", "step-00000002"), Limit);
            using var pause = new ManualResetEventSlim();
            while (Rollouts(3) < 3)
            {
                Assert.False(host.HasEnded, host.Error);
                pause.Wait(TimeSpan.FromMilliseconds(1));
            }

            host.Kill();
            host.WaitUntilGone(Limit);
            before = Rollouts(3);
        }

        HostProcess.Succeed(Limit, [.. arguments, "--resume", killed.Folder]);

        var isEqual = whole.HashOf("policy") == killed.HashOf("policy") && whole.HashOf("critic") == killed.HashOf("critic");
        var show = HostProcess.Succeed(Limit, "run", "show", killed.Folder, "--events", "100");
        var (reused, after) = (show.Contains(" rollouts and ", StringComparison.Ordinal), Rollouts(3));
        figures.Check("SIGKILL within an iteration, journal", "no finished answer is made twice, same weights bit for bit",
            $"{before} of 8 rollouts kept, {after} written in all, weights {(isEqual ? "equal" : "different")}",
            isEqual && reused && after == 8 && show.Contains("ledger: 96 samples of 6 iterations (to 6), each used exactly once; 2 attempts", StringComparison.Ordinal));
    }

    [DataFact]
    [Trait("Category", "CI")]
    public void Offline_runs_say_that_there_is_nothing_to_replay()
    {
        var root = Repository.NewFolder("replay-sft");
        var run = TrainingRun.Run(root, "run", "sft", "sft-instruct.hocon", Limit, [.. InstructTests.SftSettings, "roles.batches.epochs=0.02", "roles.batches.max-tokens=64"]);
        var refused = HostProcess.Run(Limit, "run", "replay", run.Folder);
        Assert.Equal(4, refused.ExitCode);
        Assert.Contains("there is nothing to replay. Offline stages (this is stage sft)", refused.Error, StringComparison.Ordinal);
    }

    private static void ReplayAll(int iterations)
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("replay");
        var run = TrainingRun.Run(root, "run", "ppo", "story-ppo.hocon", Limit, Settings(root, iterations, "run.checkpoint-every=2", "run.keep-checkpoints=3", "roles.experience.kl-target=6"));
        var identical = Enumerable.Range(1, iterations).Count(iteration => Replay(run, iteration).GetProperty("identical").GetBoolean());
        figures.Check($"Replay of {iterations} iterations", "each ends with the run's weights, bit for bit", $"{identical} of {iterations}", identical == iterations);

        var before = Files(run);
        var compared = Replay(run, iterations, "--with", $"plugins.folder={BuildLoss(root)}", "--with", "roles.trainers.policy.policy-loss.use=sample-loss").GetProperty("metrics");
        var (loss, score) = (compared.GetProperty("policy/loss"), compared.GetProperty("reward/score"));
        figures.Check("The same journal through a second loss plugin", "a comparison of metrics",
            $"policy/loss {loss.GetProperty("run").GetDouble():G4} and {loss.GetProperty("replay").GetDouble():G4}, reward/score {score.GetProperty("run").GetDouble():G4} and {score.GetProperty("replay").GetDouble():G4}",
            loss.GetProperty("difference").GetDouble() != 0 && score.GetProperty("difference").GetDouble() == 0);
        Assert.Equal(before, Files(run));
    }

    private static string[] Settings(string root, int iterations, params string[] more) => StoryPpo.Settings(root, [
        $"stage.iterations={iterations}", "stage.prompts-per-iteration=16", "stage.rows-per-batch=8", "stage.evaluate-every=-1", "roles.rollout.max-new-tokens=32", .. more,
    ]);

    private static JsonElement Replay(TrainingRun run, int iteration, params string[] more) => JsonElement.Parse(
        HostProcess.Succeed(Limit, ["run", "replay", run.Folder, "--iteration", $"{iteration}", "--json", .. more]));

    private static string[] Files(TrainingRun run) =>
        [.. Directory.GetFiles(run.Folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(file => $"{file} {new FileInfo(file).Length} {File.GetLastWriteTimeUtc(file):O}")];

    // The tests' own loss, built as a plugin from outside.
    private static string BuildLoss(string root)
    {
        var (source, plugins) = (Directory.CreateDirectory(Path.Combine(root, "source", "SampleLoss")).FullName, Path.Combine(root, "plugins"));
        File.WriteAllText(Path.Combine(source, "SampleLoss.csproj"), LossProject);
        File.Copy(Path.Combine(Repository.Root, "tests", "plugins", "SampleLoss", "Plugin.cs"), Path.Combine(source, "Plugin.cs"));
        var build = new ProcessStartInfo("dotnet", ["build", "-c", "Release", "-v", "quiet", "-nologo", "-o", Path.Combine(plugins, "SampleLoss")]) { WorkingDirectory = source, RedirectStandardOutput = true };
        build.Environment["COLOSSALCHAT_HOME"] = HostProcess.Home;
        using var process = Process.Start(build)!;
        var printed = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, printed);
        return plugins;
    }
}
