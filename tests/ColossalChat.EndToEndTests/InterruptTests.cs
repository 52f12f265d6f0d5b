namespace ColossalChat.EndToEndTests;

/// <summary>A run that is asked to stop saves first and prints the command that goes on.</summary>
[Trait("Category", "CI")]
public sealed class InterruptTests
{
    private const string Hint = "resume with: ";
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(8);

    [DataFact]
    public void Ctrl_c_saves_and_the_printed_command_goes_on_to_the_same_weights()
    {
        using var figures = new Figures();
        var root = Path.Combine(Repository.NewFolder("ctrl-c"), "with a space");
        var typed = Arguments(root);
        HostProcess.Succeed(Limit, [.. typed, "run.name=whole", "--max-steps", "4"]);

        var (run, result) = Stop("INT", root, [.. typed, "run.name=stopped", "--max-steps", "4"]);
        Assert.Equal(130, result.ExitCode);
        var command = result.Output.Split('\n').Single(line => line.StartsWith(Hint, StringComparison.Ordinal))[Hint.Length..];
        Assert.Contains("--plugins", command, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(run.Folder, "models")), "The run had ended before it was stopped.");

        var before = Listing(run.Folder);
        var plan = HostProcess.Shell(Limit, command + " --dry-run");
        Assert.True(plan.ExitCode == 0 && plan.Output.Contains("continues after iteration", StringComparison.Ordinal), plan.Output + plan.Error);
        Assert.Equal(before, Listing(run.Folder));

        var environment = File.ReadAllText(Path.Combine(run.Folder, "env.json"));
        var resumed = HostProcess.Shell(Limit, command);
        Assert.True(resumed.ExitCode == 0, $"{command}\n{resumed.Output}\n{resumed.Error}");
        Assert.Equal(environment, File.ReadAllText(Path.Combine(run.Folder, "env.json")));
        Assert.Single(Directory.GetFiles(run.Folder, "env.step-*.json"));

        var whole = new TrainingRun(Path.Combine(root, "whole"));
        Assert.Equal([1L, 2, 3, 4], run.Curve("policy/loss").Select(point => point.Iteration));
        Assert.Equal(whole.Curve("eval/reward/score", "evaluate"), run.Curve("eval/reward/score", "evaluate"));
        Assert.Empty(new[] { "run/eta_s", "sys/cpu_util", "perf/tflops", "train/lr_actor", "train/lr_critic", "train/step" }.Except(run.MetricNames()));
        Assert.NotEmpty(Directory.GetFiles(Path.Combine(whole.Folder, "tensorboard"), "*tfevents*"));
        var equal = new[] { "policy", "critic" }.Count(model => whole.HashOf(model) == run.HashOf(model));
        figures.Check("Ctrl+C and the printed resume command, ppo", "exit 130, same weights bit for bit", $"exit {result.ExitCode}, {equal} of 2 models equal", equal == 2);
    }

    [DataFact]
    public void A_closed_session_saves_too()
    {
        var root = Path.Combine(Repository.NewFolder("hang-up"), "runs");
        var (run, result) = Stop("HUP", root, [.. Arguments(root), "run.name=stopped"]);

        Assert.Equal(130, result.ExitCode);
        Assert.NotEmpty(Directory.GetDirectories(Path.Combine(run.Folder, "checkpoints"), "step-*"));
        Assert.Contains(Hint, result.Output, StringComparison.Ordinal);
    }

    private static (TrainingRun Run, HostResult Result) Stop(string signal, string root, string[] arguments)
    {
        var run = new TrainingRun(Path.Combine(root, "stopped"));
        using var host = HostProcess.Start(arguments);
        host.WaitForCheckpoint(Path.Combine(run.Folder, "checkpoints", "step-00000001"), Limit);
        host.Signal(signal);
        return (run, host.WaitForEnd(Limit));
    }

    // Spaces in every name, so that the printed command must be quoted.
    private static string[] Arguments(string root)
    {
        var plugins = Directory.CreateDirectory(Path.Combine(root, "more plugins")).FullName;
        var file = Path.Combine(root, "story ppo.hocon");
        File.Copy(Path.Combine(AppContext.BaseDirectory, "Runs", "story-ppo.hocon"), file);
        return
        [
            "--plugins", plugins, "train", "ppo", file, $"run.folder={root}", .. StoryPpo.Settings(root),
            "stage.iterations=8", "stage.prompts-per-iteration=16", "stage.rows-per-batch=8", "stage.evaluation-prompts=8", "run.checkpoint-every=1",
        ];
    }

    private static string Listing(string folder) => string.Join('\n', Directory.GetFileSystemEntries(folder, "*", SearchOption.AllDirectories)
        .Order(StringComparer.Ordinal).Select(path => $"{path} {File.GetLastWriteTimeUtc(path):O}"));
}
