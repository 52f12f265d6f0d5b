using System.Collections.Concurrent;
using System.Globalization;
using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Runs whose windows are written ahead, with weights that are at most so many updates old.</summary>
[Trait("Category", "CI")]
public sealed class StalenessTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task The_next_window_is_written_while_an_iteration_trains()
    {
        using var written = new ManualResetEventSlim();
        var world = new FakeWorld();
        world.Before = (role, what, cancel) =>
        {
            if (role == "reward" && what == "score 2.2")
                written.Set();
            if (role == "trainers.policy" && what == "begin 1/4")
                Assert.True(written.Wait(s_patience, cancel), "window 2 was not written while iteration 1 trained");
        };
        await using var run = Harness(world, staleness: 1);

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal([1L, 2, 3, 4], run.Reports.Select(report => report.Iteration));
        Assert.Equal([1L, 2, 3, 4], world.Windows.Select(window => window[0].Rollout.Batch.Iteration));
        Assert.All(world.Windows, window => Assert.Equal([0, 1, 2], window.Select(part => part.Rollout.Batch.Shard)));
        // Window 2 was written before iteration 1 had changed anything.
        Assert.Equal([1L], VersionsOf(world.Windows.ElementAt(1)));
        Assert.Equal((1.0, 1.0), (run.Reports.ElementAt(1).Metrics["rollout/staleness_max"], run.Reports.ElementAt(1).Metrics["rollout/staleness_share/1"]));
        JournalFlowTests.AssertExactlyOnce(run.RunFolder, iterations: 4, attempts: 1);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task The_bound_is_never_exceeded(int staleness)
    {
        var (training, world) = (0L, new FakeWorld());
        var tooFar = new ConcurrentQueue<string>();
        world.Before = (role, what, _) =>
        {
            if (role == "experience" && what.StartsWith("build", StringComparison.Ordinal))
                Volatile.Write(ref training, long.Parse(what.Split(' ', '.')[1], CultureInfo.InvariantCulture));
            // What follows an iteration may begin once its experience has been built.
            if (role == "rollout" && what.StartsWith("generate", StringComparison.Ordinal) && long.Parse(what.Split(' ', '.')[1], CultureInfo.InvariantCulture) > Volatile.Read(ref training) + staleness + 1)
                tooFar.Enqueue(what);
        };
        await using var run = Harness(world, staleness);
        run.Plan = run.Plan with { Iterations = 12 };

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.Empty(tooFar);
        Assert.Equal(12, world.Windows.Count);
        Assert.All(world.Windows, window => Assert.All(VersionsOf(window), version =>
            Assert.InRange(window[0].Rollout.Batch.Iteration - version, 0, staleness)));
        Assert.Equal(36, world.CallsOf("rollout").Count(call => call.StartsWith("generate", StringComparison.Ordinal)));
        JournalFlowTests.AssertExactlyOnce(run.RunFolder, iterations: 12, attempts: 1);
    }

    [Fact]
    public async Task A_window_waits_until_everybody_has_weights_that_are_young_enough()
    {
        var (loads, tooEarly, world) = (new ConcurrentDictionary<string, bool>(), new ConcurrentQueue<string>(), new FakeWorld());
        string[] readers = ["rollout", "critic", "reference", "reward"];
        world.Before = (role, what, _) =>
        {
            // Whoever loads last holds all of them up.
            if (role == "critic" && what.StartsWith("load policy", StringComparison.Ordinal))
                Thread.SpinWait(100_000);
            loads[$"{role} {what}"] = true;
            if (role == "rollout" && what.StartsWith("generate", StringComparison.Ordinal) && long.Parse(what.Split(' ', '.')[1], CultureInfo.InvariantCulture) - 1 is > 0 and var version)
                foreach (var reader in readers.Where(reader => !Enumerable.Range((int)version, 9).Any(newer => loads.ContainsKey($"{reader} load policy {newer}"))))
                    tooEarly.Enqueue($"{what} before {reader} had version {version}");
        };
        await using var run = Harness(world, staleness: 1, iterations: 8);

        Assert.Null((await run.RunAsync()).Failure);

        Assert.Empty(tooEarly);
    }

    [Fact]
    public async Task Measurements_are_of_the_newest_weights()
    {
        var measured = new ConcurrentQueue<(long Iteration, long Version)>();
        var world = new FakeWorld
        {
            AnswerWith = rollout =>
            {
                if (rollout.Batch.Purpose == BatchPurpose.Evaluate)
                    foreach (var version in rollout.WeightVersions.Values.ToArray())
                        measured.Enqueue((rollout.Batch.Iteration, version));
                return rollout;
            },
        };
        await using var run = Harness(world, staleness: 2);
        run.Plan = run.Plan with { EvaluateEvery = 1 };

        Assert.Null((await run.RunAsync()).Failure);

        Assert.Equal([0L, 1, 2, 3, 4], measured.Select(one => one.Iteration).Distinct());
        Assert.All(measured, one => Assert.Equal(one.Iteration + 1, one.Version));
        Assert.Equal(5, run.Reports.Count(report => report.Purpose == BatchPurpose.Evaluate));
    }

    [Fact]
    public async Task A_role_takes_new_weights_in_the_middle_of_its_answers()
    {
        using var begun = new ManualResetEventSlim();
        var world = new FakeWorld();
        world.Before = (role, what, cancel) =>
        {
            if (role == "rollout" && what == "generate 2.0")
                begun.Set();
            if (role == "trainers.policy" && what == "publish 2")
                begun.Wait(s_patience, cancel);
        };
        await using var run = Harness(world, staleness: 1);
        run.Roles = world.OnlineRoles("policy", "critic") with { Rollout = () => new PatientRollout(world, new FakeRollout(world)) };

        Assert.Null((await run.RunAsync()).Failure);

        // Window 2 was begun under version 1, and its role waited in the middle of it for version 2.
        Assert.Equal([1L, 2], VersionsOf(world.Windows.ElementAt(1)));
        Assert.InRange(run.Reports.ElementAt(1).Metrics["rollout/staleness_mean"], 0.01, 0.99);
    }

    [Fact]
    public async Task Windows_that_were_written_ahead_are_used_again_When_the_run_goes_on()
    {
        using var written = new ManualResetEventSlim();
        var world = new FakeWorld();
        world.Before = (role, what, cancel) =>
        {
            if (role == "experience" && what == "build 3.0")
                written.Wait(s_patience, cancel);
            if (role == "reward" && what == "score 4.2")
                written.Set();
            if (role == "trainers.policy" && what == "begin 3/6")
                throw new UserErrorException("the end", ExitCode.NotFound);
        };
        await using var first = Harness(world, staleness: 1, iterations: 6);
        first.CheckpointEvery = 1;
        Assert.Equal(ExitCode.NotFound, (await first.RunAsync()).ExitCode);
        await using var second = Harness(new FakeWorld(), staleness: 1, iterations: 6, first.RunFolder);
        second.ResumeFrom = Checkpoints.Latest(first.RunFolder).Checkpoint!.Folder;

        var end = await second.RunAsync();

        Assert.Null(end.Failure);
        Assert.DoesNotContain(second.World.CallsOf("rollout"), call => call.StartsWith("generate 3.", StringComparison.Ordinal));
        Assert.Contains(second.Notes, note => note.Kind == "journal" && note.Message.StartsWith("Iteration 3: 3 of 3 rollouts", StringComparison.Ordinal));
        Assert.Contains(second.Notes, note => note.Kind == "journal" && note.Message.StartsWith("Iteration 4:", StringComparison.Ordinal));
        var (before, after) = (first.World.Windows.Last(), second.World.Windows.First());
        Assert.Equal(before.Select(part => RolloutMark.Of(part.Rollout)), after.Select(part => RolloutMark.Of(part.Rollout)));
        JournalFlowTests.AssertExactlyOnce(second.RunFolder, iterations: 6, attempts: 2);
    }

    [Fact]
    public async Task Answers_of_weights_that_were_given_up_are_not_used_again()
    {
        var world = new FakeWorld();
        world.Before = (role, what, _) =>
        {
            if (role == "trainers.policy" && what == "begin 4/6")
                throw new UserErrorException("the end", ExitCode.NotFound);
        };
        await using var first = Harness(world, staleness: 1, iterations: 6);
        first.CheckpointEvery = 1;
        await first.RunAsync();
        // Back to where version 2 was the newest: what versions 3 and 4 wrote is of a run that never was.
        await using var second = Harness(new FakeWorld(), staleness: 1, iterations: 6, first.RunFolder);
        second.ResumeFrom = Path.Combine(first.RunFolder, "checkpoints", "step-00000001");
        var given = new Dictionary<string, long[]>();
        foreach (var part in first.World.Windows.SelectMany(window => window))
            given[part.Rollout.Batch.ToString()] = [.. part.Rollout.WeightVersions.Values.ToArray().Distinct()];

        Assert.Null((await second.RunAsync()).Failure);

        var made = second.World.CallsOf("rollout").Where(call => call.StartsWith("generate", StringComparison.Ordinal)).Select(call => call.Split(' ')[1]).ToHashSet();
        Assert.All(given.Where(batch => !batch.Key.StartsWith("1.", StringComparison.Ordinal)), batch => Assert.Equal(batch.Value.Any(version => version > 2), made.Contains(batch.Key)));
        JournalFlowTests.AssertExactlyOnce(second.RunFolder, iterations: 6, attempts: 2);
    }

    [Fact]
    public async Task A_failing_trainer_takes_the_run_back_and_every_sample_counts_once()
    {
        var world = new FakeWorld();
        FailureTests.ThrowOnce(world, "trainers.policy", "finish 1 apply");
        await using var run = Harness(world, staleness: 2, iterations: 6);

        Assert.Equal(ExitCode.Ok, (await run.RunAsync()).ExitCode);

        JournalFlowTests.AssertExactlyOnce(run.RunFolder, iterations: 6, attempts: 2);
    }

    [Fact]
    public async Task A_role_with_state_keeps_the_run_on_policy()
    {
        await using var run = StatefulReaderTests.Harness("rollout");
        run.Flow = run.Flow with { Staleness = 2 };
        await using var without = StatefulReaderTests.Harness("rollout");
        await without.RunAsync();

        Assert.Null((await run.RunAsync()).Failure);

        Assert.Equal(without.Digest(), run.Digest());
        Assert.Contains("rollout has a state", Assert.Single(run.Notes, note => note.Kind == "staleness").Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(9)]
    public void A_bound_outside_0_to_8_is_refused(int staleness) =>
        Assert.Contains($"staleness is {staleness}", Assert.Single(new FlowOptions { Staleness = staleness }.Problems()), StringComparison.Ordinal);

    internal static RunHarness Harness(FakeWorld world, int staleness, long iterations = 4, string? runFolder = null) => new(world, runFolder)
    {
        Plan = RunHarness.OnlinePlan with { Iterations = iterations },
        Flow = new FlowOptions { RoleTimeout = TimeSpan.FromSeconds(40), BatchesInFlight = 2, Staleness = staleness },
        KeepCheckpoints = 9,
        Devices = new OnlineFlowTests.UnlimitedDevices(),
    };

    internal static long[] VersionsOf(IReadOnlyList<ScoredRollout> window) =>
        [.. window.SelectMany(part => part.Rollout.WeightVersions.Values.ToArray()).Distinct().Order()];

    // Waits, in the first batch of window 2, for the weights that iteration 1 publishes.
    private sealed class PatientRollout(FakeWorld world, FakeRollout inner) : IInterruptibleRollout
    {
        public Rollout Generate(PromptBatch prompts, CancellationToken cancel) => inner.Generate(prompts, cancel);

        public Rollout Generate(PromptBatch prompts, IWeightInbox inbox, CancellationToken cancel)
        {
            var begun = inner.Generate(prompts, cancel);
            if (prompts.Batch != new BatchId(2, 0))
                return begun;
            WeightsPublication? taken = null;
            Assert.True(SpinWait.SpinUntil(() => (taken = inbox.Take("policy")) is { Version: 2 }, s_patience));
            inner.LoadWeights(taken!, cancel);
            world.Enter("rollout", "switch", cancel);
            return begun with
            {
                WeightVersions = Ragged.FromRows(Enumerable.Range(0, begun.Rows).Select(row => begun.WeightVersions[row].ToArray()
                    .Select((version, token) => token == 0 ? version : taken!.Version).ToArray())),
            };
        }

        public void LoadWeights(WeightsPublication publication, CancellationToken cancel) => inner.LoadWeights(publication, cancel);

        public void Dispose() => inner.Dispose();
    }
}
