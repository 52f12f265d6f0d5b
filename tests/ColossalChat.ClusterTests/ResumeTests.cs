using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

[Trait("Category", "CI")]
public sealed class ResumeTests
{
    private static readonly StagePlan Long = RunHarness.OnlinePlan with { Iterations = 8, EvaluateEvery = 3 };

    [Fact]
    public async Task A_stop_finishes_the_running_iteration_saves_and_ends_Interrupted()
    {
        using var stop = new CancellationTokenSource();
        var world = new FakeWorld { Before = (role, call, _) => CancelWhen(stop, role == "rollout" && call == "generate 3.1") };
        await using var run = new RunHarness(world) { Plan = Long };

        var end = await run.RunAsync(stop.Token);

        Assert.Equal((ExitCode.Interrupted, 3L), (end.ExitCode, end.LastIteration));
        Assert.EndsWith("step-00000003", end.Checkpoint, StringComparison.Ordinal);
        Assert.Empty(end.ModelFolders);
        Assert.DoesNotContain("take 4.0", world.CallsOf("prompts"));
    }

    [Theory]
    [InlineData(FlowKind.Online)]
    [InlineData(FlowKind.Offline)]
    public async Task A_run_stopped_and_resumed_again_and_again_equals_an_unbroken_one(FlowKind flow)
    {
        var plan = flow == FlowKind.Online ? Long : RunHarness.OfflinePlan with { EvaluateEvery = 2 };
        await using var unbroken = new RunHarness { Plan = plan };
        await unbroken.RunAsync();
        var (reports, folder, from, world, end) = (new List<IterationReport>(), (string?)null, (string?)null, new FakeWorld(), (RunEnd?)null);

        while (end is not { ExitCode: ExitCode.Ok })
        {
            using var stop = new CancellationTokenSource();
            world = new FakeWorld { Before = (role, call, _) => CancelWhen(stop, role == "trainers.policy" && call.StartsWith("begin", StringComparison.Ordinal)) };
            await using var part = new RunHarness(world, folder) { Plan = plan, ResumeFrom = from };
            end = await part.RunAsync(stop.Token);
            Assert.Null(end.Failure);
            (folder, from) = (part.RunFolder, end.Checkpoint);
            reports.AddRange(part.Reports);
        }

        Assert.Equal(unbroken.World.Digest(), world.Digest());
        Assert.Equal(unbroken.Reports.Select(NumbersOf), reports.Select(NumbersOf));
    }

    [Fact]
    public async Task A_run_killed_anywhere_and_resumed_equals_an_unbroken_one()
    {
        await using var unbroken = new RunHarness { Plan = Long };
        await unbroken.RunAsync();
        var calls = unbroken.World.Calls.Count;
        var key = new RandomKey(7, RandomPurpose.Data);

        for (var trial = 0; trial < 8; trial++)
        {
            var killAt = 1 + (int)(key.Uniform(trial) * (calls - 1));
            var folder = await KillAsync(killAt);
            var latest = Checkpoints.Latest(folder);
            Assert.Empty(latest.Skipped);
            await using var resumed = new RunHarness(runFolder: folder)
            {
                Plan = Long,
                CheckpointEvery = 2,
                ResumeFrom = latest.Checkpoint?.Folder,
            };

            var end = await resumed.RunAsync();

            Assert.Equal((ExitCode.Ok, 8L), (end.ExitCode, end.LastIteration));
            Assert.True(unbroken.World.Digest() == resumed.World.Digest(), $"killed at call {killAt}: {resumed.World.Digest()}");
            var expected = unbroken.Reports.Where(report => report.Iteration > (latest.Checkpoint?.Iteration ?? -1));
            Assert.Equal(expected.Select(NumbersOf), resumed.Reports.Select(NumbersOf));
        }
    }

    [Fact]
    public async Task A_finished_run_that_is_resumed_exports_again_and_trains_nothing()
    {
        await using var first = new RunHarness { Plan = Long };
        var end = await first.RunAsync();
        await using var again = new RunHarness(runFolder: first.RunFolder) { Plan = Long, ResumeFrom = end.Checkpoint };

        var second = await again.RunAsync();

        Assert.Equal((ExitCode.Ok, 8L), (second.ExitCode, second.LastIteration));
        Assert.Empty(again.Reports);
        Assert.Equal(first.World.Digest(), again.World.Digest());
        Assert.Equal(2, second.ModelFolders.Count);
    }

    [Fact]
    public async Task A_checkpoint_of_other_roles_is_refused_by_name()
    {
        await using var offline = new RunHarness { Plan = RunHarness.OfflinePlan };
        var end = await offline.RunAsync();
        await using var online = new RunHarness { ResumeFrom = end.Checkpoint };

        var refused = await online.RunAsync();

        Assert.Equal(ExitCode.Invalid, refused.ExitCode);
        Assert.Contains("resume with the stage and roles that wrote it", refused.Failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_checkpoint_is_read_once_When_a_run_continues_from_it()
    {
        await using var first = new RunHarness { Plan = Long, MaxIterations = 2 };
        var end = await first.RunAsync();
        await using var second = new RunHarness(runFolder: first.RunFolder) { Plan = Long, ResumeFrom = end.Checkpoint };
        var definition = second.Definition();
        foreach (var file in Directory.GetFiles(end.Checkpoint!, "state.*", SearchOption.AllDirectories))
            File.Delete(file);

        Assert.Equal(ExitCode.Ok, (await Run.StartAsync(second.System, definition, default)).ExitCode);
    }

    [Fact]
    public async Task Epochs_grow_over_resumes_so_that_an_old_publisher_is_known()
    {
        await using var first = new RunHarness { Plan = Long, MaxIterations = 2 };
        var end = await first.RunAsync();
        await using var second = new RunHarness(runFolder: first.RunFolder) { Plan = Long, MaxIterations = 4, ResumeFrom = end.Checkpoint };

        await second.RunAsync();

        Assert.Equal(1, Checkpoints.Open(end.Checkpoint!).Epoch);
        Assert.Equal(2, Checkpoints.Latest(first.RunFolder).Checkpoint!.Epoch);
    }

    [Fact]
    public async Task Latest_is_the_branch_that_was_resumed_last_however_often_a_run_is_resumed()
    {
        var plan = Long with { EvaluateEvery = -1 };
        await using var unbroken = new RunHarness { Plan = plan, MaxIterations = 7 };
        await unbroken.RunAsync();
        var folder = Directory.CreateTempSubdirectory("colossalchat-branches-").FullName;
        var world = new FakeWorld();
        async Task<RunEnd> ToAsync(long iteration, string? from)
        {
            world = new FakeWorld();
            await using var part = new RunHarness(world, folder) { Plan = plan, CheckpointEvery = 2, MaxIterations = iteration, ResumeFrom = from };
            return await part.RunAsync();
        }

        string Latest() => Checkpoints.Latest(folder).Checkpoint!.Folder;
        string[] Names(string below) => [.. Directory.GetDirectories(Path.Combine(folder, "checkpoints", below), "step-*").Select(name => Path.GetFileName(name)).Order()];

        var older = (await ToAsync(4, from: null)).Checkpoint!;
        await ToAsync(6, Latest());
        await ToAsync(5, older);

        Assert.Equal(["step-00000004", "step-00000005"], Names(""));
        Assert.Equal(["step-00000006"], Names("given-up"));
        Assert.EndsWith("step-00000005", Latest(), StringComparison.Ordinal);
        await ToAsync(7, Latest());

        Assert.Equal(["step-00000006", "step-00000007"], Names(""));
        Assert.Empty(Names("given-up"));
        Assert.Equal(4, Checkpoints.Latest(folder).Checkpoint!.Epoch);
        Assert.Equal(unbroken.World.Digest(), world.Digest());
    }

    [Fact]
    public async Task A_resume_that_cannot_open_its_roles_gives_nothing_up()
    {
        await using var first = new RunHarness { Plan = Long, CheckpointEvery = 2, MaxIterations = 4 };
        await first.RunAsync();
        var older = Path.Combine(first.RunFolder, "checkpoints", "step-00000002");
        var world = new FakeWorld { Before = (_, call, _) => Refuse(call == "make") };
        await using var second = new RunHarness(world, first.RunFolder) { Plan = Long, ResumeFrom = older };

        Assert.Equal(ExitCode.NotFound, (await second.RunAsync()).ExitCode);
        Assert.Equal(4, Checkpoints.Latest(first.RunFolder).Checkpoint!.Iteration);
    }

    [Fact]
    public async Task A_resume_that_cannot_move_the_other_branch_ends_with_Resource()
    {
        await using var first = new RunHarness { Plan = Long, CheckpointEvery = 2, MaxIterations = 4 };
        await first.RunAsync();
        var checkpoints = Path.Combine(first.RunFolder, "checkpoints");
        await File.WriteAllTextAsync(Path.Combine(checkpoints, "given-up"), "in the way");
        await using var second = new RunHarness(runFolder: first.RunFolder) { Plan = Long, ResumeFrom = Path.Combine(checkpoints, "step-00000002") };

        var end = await second.RunAsync();

        Assert.Equal(ExitCode.Resource, end.ExitCode);
        Assert.Contains("Newer checkpoints could not be moved aside", end.Failure, StringComparison.Ordinal);
        Assert.Null(second.StartedAt);
    }

    [Fact]
    public async Task A_stop_leaves_out_a_due_measurement_and_the_resumed_run_makes_it_first()
    {
        using var stop = new CancellationTokenSource();
        var world = new FakeWorld { Before = (role, call, _) => CancelWhen(stop, role == "trainers.policy" && call.StartsWith("begin 3", StringComparison.Ordinal)) };
        await using var first = new RunHarness(world) { Plan = Long };

        var end = await first.RunAsync(stop.Token);

        Assert.Equal((3L, BatchPurpose.Train), (first.Reports.Last().Iteration, first.Reports.Last().Purpose));
        await using var second = new RunHarness(runFolder: first.RunFolder) { Plan = Long, ResumeFrom = end.Checkpoint };
        await second.RunAsync();
        Assert.Equal((3L, BatchPurpose.Evaluate), (second.Reports.First().Iteration, second.Reports.First().Purpose));
        Assert.False(Checkpoints.Open(end.Checkpoint!).State.OwesMeasurement);
    }

    [Fact]
    public async Task A_stop_in_the_last_iteration_leaves_measurement_and_export_to_the_resumed_run()
    {
        using var stop = new CancellationTokenSource();
        var world = new FakeWorld { Before = (role, call, _) => CancelWhen(stop, role == "trainers.policy" && call.StartsWith("begin 8", StringComparison.Ordinal)) };
        await using var first = new RunHarness(world) { Plan = Long };

        var end = await first.RunAsync(stop.Token);
        await using var second = new RunHarness(runFolder: first.RunFolder) { Plan = Long, ResumeFrom = end.Checkpoint };
        var last = await second.RunAsync();

        Assert.Equal((ExitCode.Interrupted, 8L, 0), (end.ExitCode, end.LastIteration, end.ModelFolders.Count));
        Assert.Equal((ExitCode.Ok, 2), (last.ExitCode, last.ModelFolders.Count));
        Assert.Equal((8L, BatchPurpose.Evaluate), (Assert.Single(second.Reports).Iteration, second.Reports.First().Purpose));
        Assert.False(Checkpoints.Open(last.Checkpoint!).State.OwesMeasurement);
    }

    [Fact]
    public async Task A_stop_while_the_roles_are_made_ends_the_run_before_it_measures_or_trains()
    {
        using var stop = new CancellationTokenSource();
        await stop.CancelAsync();
        await using var run = new RunHarness { Plan = Long };

        var end = await run.RunAsync(stop.Token);

        Assert.Equal((ExitCode.Interrupted, 0L, null), (end.ExitCode, end.LastIteration, end.Checkpoint));
        Assert.Empty(run.Reports);
        Assert.DoesNotContain(run.World.CallsOf("rollout"), call => call.StartsWith("generate", StringComparison.Ordinal));
    }

    // The process is gone in the middle of a role call: nothing after it happens any more.
    private static async Task<string> KillAsync(int killAt)
    {
        var count = 0;
        var killed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var dead = new ManualResetEventSlim();
        var world = new FakeWorld
        {
            Before = (_, _, _) =>
            {
                if (Interlocked.Increment(ref count) < killAt)
                    return;
                killed.TrySetResult();
                dead.Wait(CancellationToken.None);
                throw new InvalidOperationException("The process is gone.");
            },
        };
        var run = new RunHarness(world) { Plan = Long, CheckpointEvery = 2 };
        var (disk, write) = (new Lock(), run.WriteWith);
        run.WriteWith = (definition, state, remark) =>
        {
            lock (disk)
                return write(definition, state, remark);
        };
        var end = run.RunAsync();
        await killed.Task.WaitAsync(TimeSpan.FromSeconds(30));

        // What a killed process has on disk is what there is now; what its actors do while they end must not count. A write
        // that is killed in its middle has a test of its own.
        var snapshot = Directory.CreateTempSubdirectory("colossalchat-killed-").FullName;
        lock (disk)
            Copy(run.RunFolder, snapshot);
        var termination = run.System.Terminate();
        dead.Set();
        await termination;
        Assert.Equal(ExitCode.Failed, (await end).ExitCode);
        return snapshot;
    }

    private static void Copy(string from, string to)
    {
        foreach (var folder in Directory.GetDirectories(from, "*", SearchOption.AllDirectories))
            Directory.CreateDirectory(folder.Replace(from, to, StringComparison.Ordinal));
        foreach (var file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
            File.Copy(file, file.Replace(from, to, StringComparison.Ordinal));
    }

    // Facts about the data come with the first report of each process.
    private static string NumbersOf(IterationReport report) => RunHarness.Line(report).Replace(" data/rows=42", "", StringComparison.Ordinal);

    private static void Refuse(bool condition)
    {
        if (condition)
            throw new UserErrorException("nowhere", ExitCode.NotFound);
    }

    private static void CancelWhen(CancellationTokenSource stop, bool condition)
    {
        if (condition)
            stop.Cancel();
    }
}
