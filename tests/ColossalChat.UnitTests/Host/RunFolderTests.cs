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

        string[] typed = ["--plugins", "my plugins", "train", "ppo", "it's.hocon", "seed=2", "--resume", "latest", "--max-steps", "5"];
        Assert.Equal(
            isSaid ? $@"resume with: colossalchat --plugins 'my plugins' train ppo 'it'\''s.hocon' seed=2 --max-steps 5 --resume {_root}" : null,
            TrainCommand.ResumeHint(outcome, typed));
        Assert.Equal(
            isSaid ? $"resume with: colossalchat train ppo a.hocon --resume {_root} -- seed=2 ''" : null,
            TrainCommand.ResumeHint(outcome, ["train", "ppo", "a.hocon", "--resume=latest", "--", "seed=2", ""]));
    }

    [Fact]
    public void Latest_is_the_run_that_began_last_and_says_which_it_passes_over()
    {
        var (old, newest, renumbered) = (Begun("run-2", 1), Begun("run", 3), Begun("run-3", 2));
        Checkpoint(old, "step-00000004");
        Checkpoint(renumbered, "step-00000007");
        var remarks = new List<string>();

        var (run, checkpoint) = RunFolder.Find("latest", _root, "run", remarks.Add);

        Assert.Equal((renumbered.Path, 7L), (run.Path, checkpoint.Iteration));
        Assert.Contains($"passes over {newest.Path}: it has no complete checkpoint", Assert.Single(remarks), StringComparison.Ordinal);
    }

    [Fact]
    public void A_dry_run_finds_the_checkpoint_of_a_run_that_is_going_on_and_changes_nothing()
    {
        var folder = Begun("run", 1);
        Checkpoint(folder, "step-00000004");
        var unfinished = Directory.CreateDirectory(folder.In("checkpoints/.step-00000005.unfinished")).FullName;
        using var going = folder.Hold();

        Assert.Equal(4, RunFolder.Find("latest", _root, "run", _ => { }, mayMend: false).Checkpoint.Iteration);
        Assert.True(Directory.Exists(unfinished));
        Assert.Throws<UserErrorException>(() => RunFolder.Find("latest", _root, "run", _ => { }));
    }

    [Fact]
    public void A_checkpoint_that_is_named_is_checked_before_anything_is_done_with_it()
    {
        var folder = Begun("run", 1);
        var step = Checkpoint(folder, "step-00000004");
        File.WriteAllText(Path.Combine(step, "manifest.json"), "{ torn");

        Assert.Contains("is torn", Assert.Throws<UserErrorException>(() => RunFolder.Find(step, _root, "run", _ => { })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_checkpoint_of_a_branch_that_was_given_up_says_how_to_return_to_it()
    {
        var folder = Begun("run", 1);
        var step = Checkpoint(folder, Path.Combine("given-up", "step-00000004"));

        var message = Assert.Throws<UserErrorException>(() => RunFolder.Find(step, _root, "run", _ => { })).Message;
        Assert.Contains($"move it to {folder.In("checkpoints")} and resume it there", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_folder_that_cannot_be_written_to_is_named()
    {
        var folder = Begun("run", 1);
        Directory.CreateDirectory(folder.In(".lock")); // Refused like a read-only folder, and to root as well.

        var error = Assert.Throws<UserErrorException>(folder.Hold);

        Assert.Equal(ExitCode.Resource, error.ExitCode);
        Assert.Contains($"{folder.Path} cannot be written to", error.Message, StringComparison.Ordinal);
    }

    private RunFolder Begun(string name, int hour)
    {
        var folder = new RunFolder(Directory.CreateDirectory(Path.Combine(_root, name)).FullName);
        File.WriteAllText(folder.EffectiveConfig, "");
        File.SetLastWriteTimeUtc(folder.EffectiveConfig, new DateTime(2026, 1, 1, hour, 0, 0, DateTimeKind.Utc));
        return folder;
    }

    private static string Checkpoint(RunFolder folder, string name)
    {
        var step = Directory.CreateDirectory(folder.In(Path.Combine("checkpoints", name))).FullName;
        File.WriteAllText(Path.Combine(step, "manifest.json"), $$"""{ "format": 1, "iteration": {{int.Parse(name[^8..], System.Globalization.CultureInfo.InvariantCulture)}}, "epoch": 1, "totals": {}, "files": [] }""");
        return step;
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
