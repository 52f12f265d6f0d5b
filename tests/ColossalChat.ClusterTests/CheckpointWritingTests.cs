using System.Collections.Concurrent;
using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Checkpoints are written while training goes on.</summary>
[Trait("Category", "CI")]
public sealed class CheckpointWritingTests
{
    private static readonly StagePlan Plan = RunHarness.OnlinePlan with { Iterations = 8 };

    [Fact]
    public async Task Training_goes_on_while_a_checkpoint_is_written()
    {
        using var disk = new Disk();
        var seen = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var run = new RunHarness { Plan = Plan, CheckpointEvery = 4 };
        disk.Behind(run, state => state.Iteration == 4);
        run.OnReport = report =>
        {
            if (report.Iteration == 7)
                seen.TrySetResult();
        };

        var end = run.RunAsync();
        await seen.Task.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Empty(Checkpoints.FoldersOf(run.RunFolder));
        disk.Open();

        Assert.Equal(ExitCode.Ok, (await end).ExitCode);
        Assert.Equal(["step-00000008", "step-00000004"], Checkpoints.FoldersOf(run.RunFolder).Select(Path.GetFileName));
    }

    [Fact]
    public async Task The_next_checkpoint_waits_for_the_last_and_says_how_long()
    {
        using var disk = new Disk();
        await using var run = new RunHarness { Plan = Plan, CheckpointEvery = 1 };
        disk.Behind(run, _ => false);
        disk.Takes(TimeSpan.FromMilliseconds(60));

        var end = await run.RunAsync();

        Assert.Equal(ExitCode.Ok, end.ExitCode);
        Assert.EndsWith("step-00000008", end.Checkpoint, StringComparison.Ordinal);
        Assert.Equal(1, disk.MostAtOnce);
        Assert.Equal(Enumerable.Range(1, 8).Select(i => (long)i), disk.Written);
        var waits = run.Reports.Select(report => report.Metrics.GetValueOrDefault("timing/save_wait_s")).ToArray();
        Assert.True(waits.Sum() > 0.06, $"Waited {string.Join(", ", waits)} s.");
        Assert.True(run.Reports.Sum(report => report.Metrics.GetValueOrDefault("timing/save_s")) > 0.3);
    }

    [Fact]
    public async Task Memory_is_written_before_it_is_used_again_and_two_states_are_enough()
    {
        using var disk = new Disk();
        await using var run = new RunHarness { Plan = Plan with { Iterations = 24 }, CheckpointEvery = 3, KeepCheckpoints = 100 };
        run.Flow = run.Flow with { SafePointShare = 1e6 }; // Copies are always due.
        await using var unbroken = new RunHarness { Plan = run.Plan, CheckpointEvery = 3, KeepCheckpoints = 100 };
        await unbroken.RunAsync();
        var images = new ConcurrentDictionary<IStateWriter, bool>(ReferenceEqualityComparer.Instance);
        run.Roles = run.World.OnlineRoles("policy", "critic") with { Experience = () => new WatchedExperience(new FakeExperience(run.World), image => images[image] = true) };
        disk.Behind(run, _ => false);
        disk.Takes(TimeSpan.FromMilliseconds(20));

        await run.RunAsync();

        Assert.True(images.Count == 2, $"{images.Count} states in memory.");
        foreach (var folder in Checkpoints.FoldersOf(unbroken.RunFolder).Select(Path.GetFileName))
            Assert.Equal(Content(unbroken.RunFolder, folder!), Content(run.RunFolder, folder!));
    }

    [Fact]
    public async Task A_stop_waits_for_the_write_that_is_going_on_and_for_its_own()
    {
        using var disk = new Disk();
        using var stop = new CancellationTokenSource();
        var captured = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var run = new RunHarness { Plan = Plan, CheckpointEvery = 2 };
        disk.Behind(run, state => state.Iteration == 2);
        run.World.Before = (role, call, _) =>
        {
            if (role != "rollout" || call != "generate 3.1")
                return;
            stop.Cancel();
            captured.TrySetResult();
        };

        var end = run.RunAsync(stop.Token);
        await captured.Task.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.False(end.IsCompleted);
        disk.Open();

        Assert.Equal((ExitCode.Interrupted, 3L), ((await end).ExitCode, (await end).LastIteration));
        Assert.Equal([2L, 3], disk.Written);
        Assert.EndsWith("step-00000003", (await end).Checkpoint, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_write_that_fails_fails_the_run(bool atTheEnd)
    {
        await using var run = new RunHarness { Plan = Plan, CheckpointEvery = atTheEnd ? 0 : 2 };
        run.WriteWith = (_, _, _) => throw new IOException("No space left on device.");

        var end = await run.RunAsync();

        Assert.Equal(ExitCode.Resource, end.ExitCode);
        Assert.Contains($"The checkpoint of iteration {(atTheEnd ? 8 : 2)} could not be written: No space left on device. Make room", end.Failure, StringComparison.Ordinal);
        Assert.Null(end.Checkpoint);
        Assert.Empty(end.ModelFolders);
    }

    [Fact]
    public async Task What_a_write_remarks_is_noted_and_the_run_goes_on()
    {
        await using var run = new RunHarness { Plan = Plan, CheckpointEvery = 2, MaxIterations = 4 };
        var write = run.WriteWith;
        run.WriteWith = (definition, state, remark) =>
        {
            remark($"old ones before {state.Iteration} stay");
            return write(definition, state, remark);
        };

        Assert.Null((await run.RunAsync()).Failure);
        Assert.Equal(["old ones before 2 stay", "old ones before 4 stay"],
            run.Notes.Where(note => note.Kind == "checkpoint" && note.Message.StartsWith("old ones", StringComparison.Ordinal)).Select(note => note.Message));
    }

    [Fact]
    public async Task A_write_that_fails_in_another_way_ends_the_run_too()
    {
        await using var run = new RunHarness { Plan = Plan, CheckpointEvery = 2 };
        run.WriteWith = (_, _, _) => throw new InvalidOperationException("A bug.");

        Assert.Contains("A bug.", (await run.RunAsync()).Failure, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0.02)]
    [InlineData(0)] // It goes back to the very checkpoint that was being written.
    public async Task A_run_that_goes_back_during_a_write_waits_for_it_and_never_writes_twice_at_once(double share)
    {
        await using var unbroken = new RunHarness { Plan = Plan };
        await unbroken.RunAsync();
        using var disk = new Disk();
        await using var run = new RunHarness { Plan = Plan, CheckpointEvery = 2 };
        FailureTests.ThrowOnce(run.World, "trainers.policy", "begin 4/8");
        disk.Behind(run, state => state.Iteration == 2);
        disk.OpensWhenRolesAreDisposed(run.World);
        disk.Takes(TimeSpan.FromSeconds(1.2), iteration: 2);
        run.Flow = run.Flow with { SafePointShare = share, CancelGrace = TimeSpan.FromSeconds(1) }; // For roles, not for disks.

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal(1, disk.MostAtOnce);
        Assert.Equal([2L, 4, 6, 8], disk.Written);
        Assert.Single(run.Notes, note => note.Kind == "restart");
        Assert.Equal(unbroken.World.Digest(), run.World.Digest());
        Assert.Equal("step-00000008", Path.GetFileName(Checkpoints.Latest(run.RunFolder).Checkpoint!.Folder));
    }

    [Fact]
    public async Task A_run_that_fails_during_a_write_ends_after_it_with_that_checkpoint()
    {
        using var disk = new Disk();
        await using var run = new RunHarness { Plan = Plan, CheckpointEvery = 2 };
        run.World.Before = (role, call, _) =>
        {
            if (role == "trainers.policy" && call == "begin 3/8")
                throw new UserErrorException("The disk of the data is gone.", ExitCode.Resource);
        };
        disk.Behind(run, state => state.Iteration == 2);
        disk.OpensWhenRolesAreDisposed(run.World);

        var end = await run.RunAsync();

        Assert.Equal(ExitCode.Resource, end.ExitCode);
        Assert.EndsWith("step-00000002", end.Checkpoint, StringComparison.Ordinal);
        Assert.Equal([2L], disk.Written);
    }

    [Fact]
    public async Task A_write_that_fails_while_the_run_goes_back_fails_the_run()
    {
        using var disk = new Disk();
        await using var run = new RunHarness { Plan = Plan, CheckpointEvery = 2 };
        FailureTests.ThrowOnce(run.World, "trainers.policy", "begin 3/8");
        disk.Behind(run, _ => true);
        disk.OpensWhenRolesAreDisposed(run.World);
        disk.Sees = _ => throw new IOException("No space left on device.");

        var end = await run.RunAsync();

        Assert.Equal(ExitCode.Resource, end.ExitCode);
        Assert.Contains("The checkpoint of iteration 2 could not be written", end.Failure, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("none")]
    [InlineData("half of a file")]
    [InlineData("all but the manifest")]
    [InlineData("all but the rename")]
    public async Task A_write_killed_in_its_middle_leaves_the_last_whole_one(string reached)
    {
        await using var unbroken = new RunHarness { Plan = Plan };
        await unbroken.RunAsync();
        await using var killed = new RunHarness { Plan = Plan, CheckpointEvery = 2, MaxIterations = 4 };
        await killed.RunAsync();
        var folder = Checkpoints.FoldersOf(killed.RunFolder)[0];
        var torn = Path.Combine(Path.GetDirectoryName(folder)!, ".step-00000004.unfinished");
        Directory.Move(folder, torn);
        foreach (var file in reached == "none" ? Directory.GetFiles(torn, "*", SearchOption.AllDirectories) : [])
            File.Delete(file);
        if (reached is "half of a file")
            File.WriteAllBytes(Path.Combine(torn, "trainers.policy", "state.bin"), new byte[3]);
        if (reached is "half of a file" or "all but the manifest")
            File.Delete(Path.Combine(torn, "manifest.json"));

        var choice = Checkpoints.Latest(killed.RunFolder);
        Assert.Equal((2L, 0), (choice.Checkpoint!.Iteration, choice.Skipped.Count));
        Checkpoints.Recover(killed.RunFolder);
        choice = Checkpoints.Latest(killed.RunFolder);
        Assert.Equal(2, choice.Checkpoint!.Iteration);
        Assert.False(Directory.Exists(torn));

        await using var resumed = new RunHarness(runFolder: killed.RunFolder) { Plan = Plan, CheckpointEvery = 2, ResumeFrom = choice.Checkpoint.Folder };
        Assert.Equal(ExitCode.Ok, (await resumed.RunAsync()).ExitCode);
        Assert.Equal(unbroken.World.Digest(), resumed.World.Digest());
    }

    private static string Content(string runFolder, string name) =>
        string.Join('\n', Checkpoints.Open(Path.Combine(runFolder, "checkpoints", name)).State.Images
            .OrderBy(image => image.Key, StringComparer.Ordinal)
            .SelectMany(image => image.Value.TensorNames.Select(tensor => $"{image.Key} {tensor} {Hex(image.Value.Data(tensor))}")));

    private static string Hex(StateBytes data)
    {
        var bytes = new byte[data.Length];
        data.Read(0, bytes);
        return Convert.ToHexString(bytes);
    }

    /// <summary>Sees what it is captured into.</summary>
    private sealed class WatchedExperience(FakeExperience inner, Action<IStateWriter> capturing) : IExperienceRole, IDisposable
    {
        public ExperienceWindow Build(IReadOnlyList<ScoredRollout> window, int ranks) => inner.Build(window, ranks);

        public ExperienceWindow Measure(IReadOnlyList<ScoredRollout> window) => inner.Measure(window);

        public void Capture(IStateWriter writer)
        {
            capturing(writer);
            inner.Capture(writer);
        }

        public void Restore(IStateReader reader) => inner.Restore(reader);

        public void Dispose() => inner.Dispose();
    }

    /// <summary>A disk that may hold writes up, and counts them.</summary>
    private sealed class Disk : IDisposable
    {
        private readonly ManualResetEventSlim _isOpen = new();
        private readonly ManualResetEventSlim _never = new();
        private (TimeSpan Time, long? Iteration) _takes;
        private int _now;
        private int _most;

        public int MostAtOnce => _most;

        /// <summary>Iterations, in order.</summary>
        public ConcurrentQueue<long> Written { get; } = new();

        public Action<RunState> Sees { get; set; } = _ => { };

        public void Open() => _isOpen.Set();

        /// <summary>When an attempt is given up.</summary>
        public void OpensWhenRolesAreDisposed(FakeWorld world) => world.Disposing = _ => _isOpen.Set();

        /// <summary>How slow it is; null for every iteration.</summary>
        public void Takes(TimeSpan time, long? iteration = null) => _takes = (time, iteration);

        public void Behind(RunHarness run, Func<RunState, bool> waits)
        {
            var write = run.WriteWith;
            run.WriteWith = (definition, state, remark) =>
            {
                InterlockedMax(ref _most, Interlocked.Increment(ref _now));
                try
                {
                    if (waits(state))
                        Assert.True(_isOpen.Wait(TimeSpan.FromSeconds(30)), "Nobody opened the disk.");
                    if ((_takes.Iteration ?? state.Iteration) == state.Iteration)
                        _never.Wait(_takes.Time);
                    Sees(state);
                    var folder = write(definition, state, remark);
                    Written.Enqueue(state.Iteration);
                    return folder;
                }
                finally
                {
                    Interlocked.Decrement(ref _now);
                }
            };
        }

        public void Dispose()
        {
            _isOpen.Dispose();
            _never.Dispose();
        }

        private static void InterlockedMax(ref int target, int value)
        {
            while (value > Volatile.Read(ref target))
                Interlocked.Exchange(ref target, value);
        }
    }
}
