using System.Collections.Concurrent;
using Akka.Actor;
using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Plugins are exchanged in a run that goes on: nothing of it changes but the version.</summary>
[Trait("Category", "CI")]
public sealed class SwapTests
{
    private const int Iterations = 40;

    [Theory]
    [InlineData("trainers.policy", "trainers.policy,trainers.critic")]
    [InlineData("trainers.critic", "critic,trainers.critic")]
    [InlineData("reward", "reward")]
    [InlineData("rollout", "rollout")]
    [InlineData("experience", "experience,prompts")]
    [InlineData("experience", "experience,prompts,rollout,reference,critic,reward,trainers.policy,trainers.critic")]
    public async Task A_run_whose_roles_are_made_anew_equals_an_unbroken_one(string role, string users)
    {
        var unbroken = await Unbroken();
        await using var run = Harness(new FakeExchange(users.Split(',')));

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal(unbroken, run.Digest());
        Assert.Equal(Iterations, run.Reports.Count);
        Assert.Equal(["prepare", "users", "switch", "commit one"], Exchange(run).Calls);
        Assert.True(run.World.Made[role] >= 2, $"{role} was made {run.World.Made[role]} times.");
        Assert.Contains(users.Split(',').Order().First(), Note(run), StringComparison.Ordinal);
        Assert.DoesNotContain(run.World.Alive, alive => alive.Value > 0 && alive.Key != "prompts");
    }

    [Fact]
    public async Task Roles_that_hold_nothing_of_the_plugin_stay()
    {
        await using var run = Harness(new FakeExchange("reward"));
        await run.RunAsync();
        Assert.Equal((2, 1, 1, 1), (run.World.Made["reward"], run.World.Made["rollout"], run.World.Made["trainers.policy"], run.World.Made["experience"]));
    }

    [Fact]
    public async Task All_ranks_of_a_model_are_made_anew_together_and_meet_under_numbers_of_their_own()
    {
        await using var run = new RunHarness { Plan = RunHarness.OfflinePlan, Plugins = new FakeExchange("trainers.policy") };
        var (world, exchange, meetings) = (run.World, Exchange(run), Enumerable.Range(0, 3).Select(_ => new ConcurrentQueue<long>()).ToArray());
        world.OfflineIterations = Iterations;
        run.Roles = world.OfflineRoles() with
        {
            Trainers = Enumerable.Range(0, 3).ToDictionary(rank => new TrainerId("policy", rank), rank => (Func<long, CancellationToken, ITrainerRole>)((number, _) =>
            {
                meetings[rank].Enqueue(number);
                return world.Count("trainers.policy", new FakeTrainer(world, "policy"));
            })),
        };
        world.Before = (who, what, _) => Assert.True(
            (who, what) != ("batches", "take 4") || SpinWait.SpinUntil(() => !exchange.Calls.IsEmpty, TimeSpan.FromSeconds(20)), "The run did not look for the exchange.");
        exchange.Wish("one");

        Assert.Null((await run.RunAsync()).Failure);

        Assert.Contains("trainers.policy, trainers.policy@1, trainers.policy@2", Note(run), StringComparison.Ordinal);
        Assert.Equal(3, meetings[0].Distinct().Count());
        Assert.Equal(meetings[0], meetings[1]);
        Assert.Equal(meetings[0], meetings[2]);
    }

    [Fact]
    public async Task A_plugin_that_no_role_uses_is_exchanged_without_a_trial()
    {
        var unbroken = await Unbroken();
        await using var run = Harness(new FakeExchange());
        await run.RunAsync();
        Assert.Equal(unbroken, run.Digest());
        Assert.Equal(2, Exchange(run).Version);
        Assert.Contains("No role of this run holds anything of it", Note(run), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("reward", "make", "rule is broken")]
    [InlineData("reward", "score", "rule is broken")]
    [InlineData("trainers.policy", "make", "rule is broken")]
    [InlineData("trainers.policy", "compute 0", "rule is broken")]
    [InlineData("trainers.policy", "restore", "rule is broken")]
    [InlineData("experience", "build", "rule is broken")]
    [InlineData("rollout", "generate", "rule is broken")]
    public async Task A_candidate_that_throws_is_rolled_back_and_the_run_goes_on_as_it_was(string role, string call, string reason)
    {
        var unbroken = await Unbroken();
        await using var run = Harness(new FakeExchange(role, "trainers.critic"));
        run.World.Before = (who, what, _) =>
        {
            if (who == role && what.StartsWith(call, StringComparison.Ordinal) && Exchange(run).Version == 2)
                throw new InvalidOperationException("The rule is broken.");
        };

        var end = await run.RunAsync();

        AssertRolledBack(run, end, unbroken, role, reason);
    }

    [Fact]
    public async Task A_candidate_whose_gradients_are_not_finite_is_rolled_back()
    {
        var unbroken = await Unbroken();
        await using var run = Harness(new FakeExchange("trainers.policy"));
        run.World.IsFinite = (_, _, _) => Exchange(run).Version == 1;
        AssertRolledBack(run, await run.RunAsync(), unbroken, "trainers.policy", "not finite");
        Assert.DoesNotContain(run.Notes, note => note.Kind == "overflow");
    }

    [Fact]
    public async Task A_candidate_whose_scores_are_not_finite_is_rolled_back()
    {
        var unbroken = await Unbroken();
        await using var run = Harness(new FakeExchange("reward"));
        run.World.ScoreWith = scores => Exchange(run).Version == 1 || scores.Kind != ScoreKind.Rewards
            ? scores
            : scores with { Values = new Ragged<float>(scores.Values.Offsets, scores.Values.Values.ToArray().Select(_ => float.NaN).ToArray()) };
        AssertRolledBack(run, await run.RunAsync(), unbroken, "reward", "it must be finite");
    }

    [Fact]
    public async Task A_candidate_that_hangs_loses_its_thread_and_is_rolled_back()
    {
        var unbroken = await Unbroken();
        using var never = new ManualResetEventSlim();
        await using var run = Harness(new FakeExchange("reward"));
        run.Flow = run.Flow with { RoleTimeout = TimeSpan.FromSeconds(1), CancelGrace = TimeSpan.FromSeconds(1) };
        run.World.Before = (who, what, _) =>
        {
            if (who == "reward" && what.StartsWith("score", StringComparison.Ordinal) && Exchange(run).Version == 2)
                never.Wait(TimeSpan.FromMinutes(1), CancellationToken.None);
        };

        var end = await run.RunAsync();
        never.Set();

        AssertRolledBack(run, end, unbroken, "reward", "its thread is lost");
    }

    [Fact]
    public async Task A_candidate_that_is_refused_is_never_tried()
    {
        var unbroken = await Unbroken();
        await using var run = Harness(new FakeExchange("reward") { Refusal = "Wrong contract." });
        Assert.Null((await run.RunAsync()).Failure);
        Assert.Equal(unbroken, run.Digest());
        Assert.Equal(["prepare"], Exchange(run).Calls);
        Assert.Contains("Wrong contract.", Note(run), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_in_the_drop_box_is_answered_and_taken_out()
    {
        await using var run = Harness(new FakeExchange("reward"), isWished: false);
        var (swap, strange) = ("", "");
        run.OnReport = report =>
        {
            if (report.Iteration != 2)
                return;
            swap = RunControl.Post(run.RunFolder, new ControlRequest(RunControl.Swap, new Dictionary<string, string> { ["plugin"] = "Fake", ["folder"] = "/fake" }));
            strange = RunControl.Post(run.RunFolder, new ControlRequest("dance", new Dictionary<string, string>()));
        };
        Hold(run, () => Exchange(run).Calls.Any(call => call == "prepare"));

        Assert.Null((await run.RunAsync()).Failure);

        var answer = RunControl.TakeAnswer(run.RunFolder, swap)!;
        Assert.True(answer.ExitCode == ExitCode.Ok, answer.Message);
        Assert.Contains("Fake 1 -> 2 after iteration", answer.Message, StringComparison.Ordinal);
        Assert.Contains("Advice.", answer.Message, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Invalid, RunControl.TakeAnswer(run.RunFolder, strange)!.ExitCode);
        Assert.Empty(Directory.GetFiles(Path.Combine(run.RunFolder, "control")));
    }

    [Fact]
    public async Task Requests_that_come_to_nothing_are_answered_too()
    {
        await using var run = Harness(new FakeExchange("reward"), isWished: false);
        var early = RunControl.Post(run.RunFolder, new ControlRequest(RunControl.Swap, new Dictionary<string, string> { ["plugin"] = "Fake", ["folder"] = "/fake" }));
        var late = "";
        run.OnReport = report =>
        {
            if (report.Iteration == Iterations)
                late = RunControl.Post(run.RunFolder, new ControlRequest(RunControl.Swap, new Dictionary<string, string> { ["plugin"] = "Fake", ["folder"] = "/fake" }));
        };

        await run.RunAsync();
        await run.System.Terminate();

        Assert.Contains("not going on", RunControl.TakeAnswer(run.RunFolder, early)!.Message, StringComparison.Ordinal);
        Assert.Equal(ExitCode.NotFound, RunControl.TakeAnswer(run.RunFolder, late)!.ExitCode);
        Assert.Equal(1, Exchange(run).Version);
    }

    [Fact]
    public async Task A_role_that_fails_while_another_is_tried_ends_the_exchange_and_not_the_run()
    {
        var unbroken = await Unbroken();
        await using var run = Harness(new FakeExchange("trainers.policy"));
        var failed = 0;
        run.World.Before = (who, what, _) =>
        {
            // A trainer that is not exchanged publishes too, when the other one was made anew.
            if (who == "trainers.critic" && what.StartsWith("publish", StringComparison.Ordinal) && Exchange(run).Version == 2 && Interlocked.Exchange(ref failed, 1) == 0)
                throw new InvalidOperationException("out of luck");
        };

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal(unbroken, run.Digest());
        Assert.Equal(1, Exchange(run).Version);
        Assert.Contains(run.Notes, note => note.Kind == "swap" && note.Message.Contains("had to make all its roles anew", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_was_written_down_stays_when_all_roles_are_made_anew_before_its_end_is_told()
    {
        await using var run = Harness(new FakeExchange("reward"), isWished: false);
        var swaps = new RunSwaps(run.Definition());
        var offer = Exchange(run).Prepare(new SwapRequest("one", "Fake", "/fake"));
        Exchange(run).Switch("one");
        swaps.Take(new SwapReady(offer, new SwapRequest("one", "Fake", "/fake")), ActorRefs.Nobody);
        swaps.Begin(ActorRefs.Nobody);
        swaps.Recorded(new SwapRecorded(1, ""));

        Assert.Contains("Fake 1 -> 2: it had stood its trial", swaps.GoBack(), StringComparison.Ordinal);

        Assert.Equal(["prepare", "switch", "commit one"], Exchange(run).Calls);
        Assert.Null(swaps.GoBack());
    }

    [Fact]
    public async Task A_version_that_brings_a_state_ends_the_writing_ahead()
    {
        var exchange = new FakeExchange("reward");
        await using var run = StalenessTests.Harness(new FakeWorld(), staleness: 1, Iterations);
        (run.Plugins, run.Roles) = (exchange, run.World.OnlineRoles("policy", "critic"));
        var (first, second) = (run.Roles.Scorers[ScoreKind.Rewards], StatefulReaderTests.RolesWith("reward", run.World).Scorers[ScoreKind.Rewards]);
        run.Roles = run.Roles with
        {
            Scorers = new Dictionary<ScoreKind, Func<IScoringRole>>(run.Roles.Scorers) { [ScoreKind.Rewards] = () => exchange.Version == 1 ? first() : second() },
        };
        exchange.Wish("one");
        Hold(run, () => !exchange.Calls.IsEmpty);

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.Contains("Fake 1 -> 2", Note(run), StringComparison.Ordinal);
        Assert.Contains("reward has a state", Assert.Single(run.Notes, note => note.Kind == "staleness").Message, StringComparison.Ordinal);
        Assert.Equal(0, run.Reports.Last().Metrics.GetValueOrDefault("rollout/staleness_max"));
        Assert.Equal(Iterations, run.Reports.Count);
    }

    private static void AssertRolledBack(RunHarness run, RunEnd end, string unbroken, string role, string reason)
    {
        Assert.Null(end.Failure);
        Assert.Equal(unbroken, run.Digest());
        Assert.Equal(1, Exchange(run).Version);
        Assert.Equal(["prepare", "users", "switch", "back"], Exchange(run).Calls);
        Assert.Contains(reason, Note(run), StringComparison.Ordinal);
        Assert.Contains(role, Note(run), StringComparison.Ordinal);
        Assert.DoesNotContain(run.Notes, note => note.Kind == "restart");
    }

    private static string Note(RunHarness run) => Assert.Single(run.Notes, note => note.Kind == "swap").Message;

    private static FakeExchange Exchange(RunHarness run) => (FakeExchange)run.Plugins!;

    private static async Task<string> Unbroken()
    {
        await using var run = Harness(null, isWished: false);
        await run.RunAsync();
        return run.Digest();
    }

    private static RunHarness Harness(FakeExchange? exchange, bool isWished = true)
    {
        var run = new RunHarness { Plan = RunHarness.OnlinePlan with { Iterations = Iterations }, Plugins = exchange };
        if (!isWished)
            return run;
        exchange!.Wish("one");
        Hold(run, () => !exchange.Calls.IsEmpty);
        return run;
    }

    // The fourth iteration waits until the exchange is known of: there are enough of them left then.
    private static void Hold(RunHarness run, Func<bool> isKnown) => run.World.AnswerWith = rollout =>
    {
        if (rollout.Batch.Iteration == 4)
            Assert.True(SpinWait.SpinUntil(isKnown, TimeSpan.FromSeconds(20)), "The run did not look for the exchange.");
        return rollout;
    };
}
