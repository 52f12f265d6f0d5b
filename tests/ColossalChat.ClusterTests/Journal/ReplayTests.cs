using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>An iteration that is trained again from the journal ends with the same bits.</summary>
[Trait("Category", "CI")]
public sealed class ReplayTests
{
    private static readonly StagePlan Plan = RunHarness.OnlinePlan with { Iterations = 6, EvaluateEvery = 2 };

    [Theory] // With stale answers too, whatever the timing was: which weights wrote what is in the journal.
    [InlineData(0)]
    [InlineData(2)]
    public async Task Any_iteration_replays_to_the_same_weights_from_whichever_state(int staleness)
    {
        await using var run = new RunHarness { Plan = Plan, CheckpointEvery = 2, KeepCheckpoints = 9, Flow = Flow(staleness) };
        await run.RunAsync();
        foreach (var from in (long[])[0, 2, 4])
            for (var last = from + 1; last <= 6; last++)
            {
                var (world, outcome) = await ReplayAsync(run.RunFolder, from, last);
                Assert.Equal(ExitCode.Ok, outcome.End.ExitCode);
                Assert.Equal(Enumerable.Range((int)from + 1, (int)(last - from)).Select(i => (long)i), outcome.Iterations.Select(iteration => iteration.Iteration));
                Assert.All(outcome.Iterations, iteration => Assert.True(iteration.IsIdentical));
                Assert.Equal(["critic", "policy"], outcome.Iterations[0].Replayed.Keys);
                Assert.Empty(world.CallsOf("rollout").Concat(world.CallsOf("reward")).Concat(world.CallsOf("prompts")));
                Assert.DoesNotContain("export", world.CallsOf("trainers.policy"));
                Assert.DoesNotContain("capture", world.CallsOf("trainers.policy"));
            }
    }

    [Fact]
    public async Task Another_algorithm_gives_other_weights_and_is_told_from_the_runs()
    {
        await using var run = new RunHarness { Plan = Plan };
        await run.RunAsync();

        var (_, outcome) = await ReplayAsync(run.RunFolder, 0, 2, world => world.StepsOf = _ => 3);

        Assert.Equal([false, false], outcome.Iterations.Select(iteration => iteration.IsIdentical));
        Assert.Contains("policy/weight", outcome.Iterations[1].Metrics.Keys);
    }

    [Fact]
    public async Task A_run_that_went_back_replays_as_it_was_in_the_end()
    {
        var world = new FakeWorld();
        FailureTests.ThrowOnce(world, "trainers.critic", "compute 1");
        await using var run = new RunHarness(world) { Plan = Plan };
        await run.RunAsync();

        var (_, outcome) = await ReplayAsync(run.RunFolder, 0, 6);

        Assert.All(outcome.Iterations, iteration => Assert.True(iteration.IsIdentical));
    }

    [Fact]
    public async Task A_state_to_go_on_from_is_saved_in_the_replays_folder_When_it_is_asked_for()
    {
        await using var run = new RunHarness { Plan = Plan };
        await run.RunAsync();

        var (_, outcome) = await ReplayAsync(run.RunFolder, 0, 3, saves: true);

        Assert.Equal(3, Checkpoints.Open(outcome.End.Checkpoint!).Iteration);
        Assert.DoesNotContain(run.RunFolder, outcome.End.Checkpoint!, StringComparison.Ordinal);
        Assert.Single(Directory.GetDirectories(Path.Combine(run.RunFolder, "checkpoints")));
    }

    [Fact]
    public async Task An_iteration_that_is_not_there_is_refused_with_those_that_are()
    {
        await using var run = new RunHarness { Plan = Plan, MaxIterations = 3 };
        await run.RunAsync();

        var refused = await Assert.ThrowsAsync<UserErrorException>(() => ReplayAsync(run.RunFolder, 0, 4));

        Assert.Equal(ExitCode.NotFound, refused.ExitCode);
        Assert.Contains("The journal has iterations 1 to 3", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public async Task Runs_killed_anywhere_and_resumed_count_every_sample_once_and_replay(int staleness)
    {
        await using var whole = new RunHarness { Plan = Plan, Flow = Flow(staleness) };
        await whole.RunAsync();
        var calls = whole.World.Calls.Count;
        var key = new RandomKey(11, RandomPurpose.Data);
        for (var trial = 0; trial < 6; trial++)
        {
            var folder = Directory.CreateTempSubdirectory("colossalchat-lives-").FullName;
            var end = new RunEnd(ExitCode.Failed, null, 0, null, new Dictionary<string, string>());
            for (var life = 0; end.ExitCode != ExitCode.Ok; life++)
            {
                var (count, endAt) = (0, life == 3 ? int.MaxValue : 1 + (int)(key.Uniform((4 * trial) + life) * calls));
                var world = new FakeWorld { Before = (_, _, _) => JournalFlowTests.EndWhen(Interlocked.Increment(ref count) == endAt) };
                await using var run = new RunHarness(world, folder) { Plan = Plan, CheckpointEvery = 1, Flow = Flow(staleness), ResumeFrom = Checkpoints.Latest(folder).Checkpoint?.Folder };
                end = await run.RunAsync();
            }

            var audit = JournalReader.Audit(folder)!;
            Assert.True(audit.IsExactlyOnce, audit.Line);
            Assert.Equal((6, 72L), (audit.Iterations, audit.Samples));
            Assert.Empty(audit.NotJournalled);
            var (_, outcome) = await ReplayAsync(folder, 0, 6);
            Assert.All(outcome.Iterations, iteration => Assert.True(iteration.IsIdentical));
        }
    }

    private static FlowOptions Flow(int staleness) => new() { RoleTimeout = TimeSpan.FromSeconds(20), BatchesInFlight = 2, Staleness = staleness };

    private static async Task<(FakeWorld World, ReplayOutcome Outcome)> ReplayAsync(
        string runFolder, long from, long last, Action<FakeWorld>? change = null, bool saves = false)
    {
        await using var replay = new RunHarness { Plan = Plan };
        change?.Invoke(replay.World);
        using var journal = RunJournal.Open(runFolder)!;
        var request = new ReplayRequest
        {
            Definition = replay.Definition(),
            Journal = journal,
            From = from == 0 ? null : Checkpoints.Open(Path.Combine(runFolder, "checkpoints", Checkpoints.NameOf(from))),
            Last = last,
            SavesLast = saves,
        };
        return (replay.World, await Replay.StartAsync(replay.System, request, default).WaitAsync(TimeSpan.FromSeconds(60)));
    }
}
