using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Commands;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Runs;
using Xunit;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class RunFolderTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("colossalchat-runs-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void A_run_folder_is_never_overwritten()
    {
        string[] names = [.. Enumerable.Range(0, 3).Select(i => RunFolder.Create(_root, "run", $"n = {i}").Path)];

        Assert.Equal(["run", "run-2", "run-3"], names.Select(Path.GetFileName));
        Assert.Equal("n = 0", File.ReadAllText(new RunFolder(names[0]).EffectiveConfig));
    }

    [Fact]
    public void A_folder_that_is_no_run_is_left_alone_too()
    {
        Directory.CreateDirectory(Path.Combine(_root, "run"));

        Assert.Equal("run-2", Path.GetFileName(RunFolder.Create(_root, "run", "").Path));
    }

    [Fact]
    public void Runs_that_start_at_once_get_folders_of_their_own()
    {
        var names = new string[8];
        Parallel.For(0, 8, i => names[i] = RunFolder.Create(_root, "run", "").Path);

        Assert.Equal(8, names.Distinct().Count());
    }

    [Fact]
    public void Resume_says_what_is_missing()
    {
        RunFolder.Create(_root, "run", "");

        Assert.Equal(ExitCode.NotFound, Assert.Throws<UserErrorException>(() => RunFolder.Find("latest", _root, "run", _ => { })).ExitCode);
        Assert.Contains("no complete checkpoint", Assert.Throws<UserErrorException>(() => RunFolder.Find(Path.Combine(_root, "run"), _root, "run", _ => { })).Message, StringComparison.Ordinal);
        Assert.Contains("no such folder", Assert.Throws<UserErrorException>(() => RunFolder.Find(Path.Combine(_root, "nowhere"), _root, "run", _ => { })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_resumed_run_drops_the_lines_after_its_checkpoint_and_goes_on()
    {
        var folder = RunFolder.Create(_root, "run", "");
        Record(folder, isResumed: false, 1, [1, 2, 3, 4]);
        File.AppendAllText(folder.Metrics, "{\"iteration\":5,\"metr"); // Killed while writing.
        Record(folder, isResumed: true, 3, [3, 4, 5]);

        Assert.Equal([1, 2, 3, 4, 5], JsonLines.Read(folder.Metrics).Select(line => line.GetProperty("iteration").GetInt64()));
        Assert.Contains("Iterations 3 to 5. Dropped 3 metric lines", File.ReadAllText(folder.Events), StringComparison.Ordinal);
    }

    [Fact]
    public void A_finished_run_that_is_resumed_says_that_it_is_complete()
    {
        var folder = RunFolder.Create(_root, "run", "");
        Record(folder, isResumed: true, 6, []);

        var events = File.ReadAllText(folder.Events);
        Assert.Contains("The run is complete: its checkpoint is after iteration 5", events, StringComparison.Ordinal);
        Assert.DoesNotContain("Iterations 6", events, StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_goes_on_with_its_own_stage_and_tells_what_differs()
    {
        var before = FlatSettings.Of("colossalchat { stage { use = sft }, seed = 1, run { folder = a } }", "a");
        var now = FlatSettings.Of("colossalchat { stage { use = ppo }, seed = 2, run { folder = a } }", "b");

        var error = Assert.Throws<UserErrorException>(() => FlatSettings.CheckStage(before, now, "runs/sft"));
        Assert.Contains("runs/sft is a run of stage sft, and this is stage ppo", error.Message, StringComparison.Ordinal);
        Assert.Equal(["stage.use", "seed"], FlatSettings.Differing(before, now));
        FlatSettings.CheckStage(before, before, "runs/sft");
    }

    [Fact]
    public void A_folder_is_given_up_only_while_nothing_was_made()
    {
        var folder = RunFolder.Create(_root, "run", "");
        Assert.True(folder.IsUnused());
        Record(folder, isResumed: false, 1, [1]);
        Assert.False(folder.IsUnused());
    }

    [Fact]
    public void A_number_that_is_none_stays_visible()
    {
        var folder = RunFolder.Create(_root, "run", "");
        using (var lines = new JsonLines(folder.Metrics))
            lines.Append(new MetricsLine(1, "train", DateTimeOffset.UnixEpoch, new Dictionary<string, double> { ["train/loss"] = double.NaN }));

        Assert.Contains("\"train/loss\":\"NaN\"", File.ReadAllText(folder.Metrics), StringComparison.Ordinal);
    }

    [Fact]
    public void Two_processes_do_not_write_into_one_run_folder()
    {
        var folder = RunFolder.Create(_root, "run", "");
        using (folder.Hold())
            Assert.Equal(ExitCode.Resource, Assert.Throws<UserErrorException>(folder.Hold).ExitCode);

        folder.Hold().Dispose();
        Assert.False(File.Exists(folder.In(".lock")));
    }

    [Fact]
    public void Samples_are_written_at_their_interval_and_at_measurements()
    {
        var folder = RunFolder.Create(_root, "run", "");
        Record(folder, isResumed: false, 1, [1, 2, 3, 4], samplesEvery: 2);

        Assert.Equal([2, 4], JsonLines.Read(folder.Samples).Select(line => line.GetProperty("iteration").GetInt64()));
    }

    [Theory]
    [InlineData(ExitCode.Interrupted, true, true)]
    [InlineData(ExitCode.Interrupted, false, false)]
    [InlineData(ExitCode.Ok, true, false)]
    public void How_to_resume_is_said_only_when_there_is_a_checkpoint(ExitCode exitCode, bool hasCheckpoint, bool isSaid)
    {
        var step = Directory.CreateDirectory(Path.Combine(_root, "checkpoints", "step-00000003")).FullName;
        if (hasCheckpoint)
            File.WriteAllText(Path.Combine(step, "manifest.json"), "{}");
        var outcome = new StageOutcome(exitCode, _root, new Dictionary<string, string>(), new Dictionary<string, double>());

        Assert.Equal(isSaid ? $"resume with: colossalchat train ppo a.hocon seed=2 --resume {_root}" : null, TrainCommand.ResumeHint(outcome, "train ppo a.hocon", ["seed=2"]));
    }

    private static void Record(RunFolder folder, bool isResumed, long first, long[] iterations, long samplesEvery = 1)
    {
        var console = new HostConsole(TextWriter.Null, isTerminal: false);
        using var log = new NodeLog(console, isVerbose: false);
        using var recorder = new RunRecorder(folder, new RecorderSettings(log, console, _ => { }, []) { IsResumed = isResumed, SamplesEvery = samplesEvery });
        recorder.Started(first, 5);
        foreach (var iteration in iterations)
            recorder.Reported(new IterationReport(
                iteration,
                BatchPurpose.Train,
                new Dictionary<string, double> { ["train/loss"] = iteration },
                [new SampleRow("p", "r", 1, 0, 2, FinishReason.Stop)]));
    }
}
