using System.Diagnostics;
using Akka.Actor;
using Akka.Configuration;
using Akka.TestKit.Xunit2;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Single role actors of a run on several nodes: the same request, or a late one, may come at any time.</summary>
[Trait("Category", "CI")]
public sealed class SpreadRoleTests : TestKit
{
    private static readonly BatchId s_batch = new(1, 0);
    private readonly FakeWorld _world = new();
    private readonly CancellationTokenSource _cancel = new();

    public SpreadRoleTests()
        : base(ConfigurationFactory.ParseString(WireHocon.Text).WithFallback(ConfigurationFactory.ParseString(RunHocon.Dispatchers + "\nakka.loglevel = ERROR\nakka.stdout-loglevel = OFF")))
    {
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Scores_carry_the_mark_of_the_rollout_that_they_are_of(bool isFirstAnswered)
    {
        using var release = new ManualResetEventSlim(isFirstAnswered);
        _world.Before = (_, what, cancel) =>
        {
            if (what.StartsWith("score", StringComparison.Ordinal))
                release.Wait(cancel);
        };
        var reward = RoleOf(flow => Props.Create(() => new ScoringActor(flow, "reward.1", ScoreKind.Rewards, () => new FakeScorer(_world, ScoreKind.Rewards), null)));
        var (first, second) = (RolloutOf(version: 1, token: 5), RolloutOf(version: 2, token: 6));

        reward.Tell(new ScoreRollout(s_batch, Window, first));
        if (isFirstAnswered)
            AssertScoresOf(first, ExpectMsg<RolloutScored>());
        // Whoever wrote the first was lost, and another wrote the batch again.
        reward.Tell(new ScoreRollout(s_batch, Window, second));
        reward.Tell(new ScoreRollout(s_batch, Window, first));
        release.Set();

        var answers = ReceiveN(2).Cast<RolloutScored>().OrderBy(scored => scored.Mark != RolloutMark.Of(first)).ToArray();
        AssertScoresOf(first, answers[0]);
        AssertScoresOf(second, answers[1]);
    }

    [Fact]
    public void A_reader_that_failed_on_weights_that_are_withdrawn_goes_on_with_those_that_it_was_told_of_since()
    {
        var reward = FailedOnFirstWeights();
        reward.Tell(Weights(version: 2));
        ExpectMsg<RoleFailed>();

        reward.Tell(new RestartRole());

        Assert.Equal(2, FishForMessage<WeightsLoaded>(_ => true).Publication.Version);
    }

    [Fact]
    public void A_role_that_has_failed_is_closed_without_a_wait()
    {
        FailedOnFirstWeights().Tell(new CloseRole(1));
        Assert.Equal(new RoleClosed(1, "reward.1", IsLost: false), FishForMessage<RoleClosed>(_ => true));
    }

    [Fact]
    public void The_prompt_actor_waits_until_somebody_takes_batches()
    {
        var prompts = RoleOf(flow => Props.Create(() => new PromptActor(flow, () => new FakePrompts(_world), null)));

        prompts.Tell(new StartIteration(Window, Prompts: 1, AnswersPerPrompt: 1, RowsPerBatch: 1));
        prompts.Tell(new StartIteration(Window, Prompts: 1, AnswersPerPrompt: 1, RowsPerBatch: 1));
        ExpectNoMsg(TimeSpan.FromMilliseconds(100));
        prompts.Tell(new PoolsChanged(new Pools([TestActor], [])));

        Assert.Equal(s_batch, ExpectMsg<GenerateRollout>().Batch);
        ExpectNoMsg(TimeSpan.FromMilliseconds(100));
    }

    [Fact]
    public void A_late_shard_of_an_older_iteration_is_not_trained_on()
    {
        var trainer = Trainer();
        trainer.Tell(Shard(1));
        FishForMessage<StepComputed>(computed => computed.Batch.Iteration == 1);
        foreach (var iteration in (long[])[3, 5])
        {
            trainer.Tell(Shard(iteration));
            FishForMessage<StepComputed>(computed => computed.Batch.Iteration == iteration);
        }

        trainer.Tell(Shard(1));
        trainer.Tell(Shard(3));
        trainer.Tell(new FinishStep(new BatchId(5, 0), 0, Apply: true));

        Assert.Equal(new StepComputed(new BatchId(5, 0), new TrainerId("policy", 0), 1, true), ExpectMsg<StepComputed>());
        Assert.Equal(["begin 1/9", "begin 3/9", "begin 5/9"], _world.CallsOf("trainers.policy").Where(call => call.StartsWith("begin", StringComparison.Ordinal)));
        ExpectNoMsg(TimeSpan.FromMilliseconds(100));
    }

    [Fact]
    public void Time_that_was_told_of_before_is_not_counted_again()
    {
        using var computed = new ManualResetEventSlim();
        _world.StepsOf = _ => 1;
        _world.Before = (_, what, cancel) =>
        {
            if (what == "compute 0")
                computed.Wait(cancel);
        };
        var (trainer, started) = (Trainer(), Stopwatch.GetTimestamp());
        trainer.Tell(Shard(1));
        ExpectMsg<ShardBegun>();
        ExpectNoMsg(TimeSpan.FromMilliseconds(100));
        computed.Set();
        ExpectMsg<StepComputed>();

        const int repeats = 50;
        for (var i = 0; i < repeats; i++)
            trainer.Tell(Shard(1));
        ReceiveN(2 * repeats);
        trainer.Tell(new FinishStep(s_batch, 0, Apply: true));

        Assert.InRange(ExpectMsg<ShardTrained>().Took, TimeSpan.FromMilliseconds(90), Stopwatch.GetElapsedTime(started));
    }

    protected override void AfterAll()
    {
        _cancel.Cancel();
        _cancel.Dispose();
        base.AfterAll();
    }

    private Window Window => new(1, BatchPurpose.Train, 1, new Route(
        TestActor, [], TestActor, new TrainingRoute(new Dictionary<TrainerId, IActorRef>(), 1, 9)));

    private IActorRef Trainer() => RoleOf(flow => Props.Create(() => new TrainerActor(flow, new TrainerId("policy", 0), (_, _) => new FakeTrainer(_world, "policy"), null)));

    private TrainShard Shard(long iteration) => new(new BatchId(iteration, 0), new TrainRequest(iteration, 9, new FakeBatches(_world).HeldOut[0]));

    private IActorRef FailedOnFirstWeights()
    {
        _world.Before = (_, what, _) =>
        {
            if (what == "load policy 1")
                throw new InvalidOperationException("They are withdrawn.");
        };
        var reward = RoleOf(flow => Props.Create(() => new ScoringActor(flow, "reward.1", ScoreKind.Rewards, () => new FakeScorer(_world, ScoreKind.Rewards), null)), staleness: 0);
        reward.Tell(Weights(version: 1));
        ExpectMsg<RoleFailed>();
        return reward;
    }

    private static WeightsReady Weights(long version) => new(1, new WeightsPublication("policy", 1, version, "hash", null));

    // The test actor stands for every other actor of the run.
    private IActorRef RoleOf(Func<FlowContext, Props> props, int staleness = 2)
    {
        var definition = new RunDefinition
        {
            Plan = RunHarness.OnlinePlan,
            Roles = _world.OnlineRoles("policy", "critic"),
            Devices = new DeviceLeases(),
            RunFolder = "unused",
            Observer = new SilentObserver(),
            Flow = new FlowOptions { BatchesInFlight = 2, Staleness = staleness },
            Parcels = new ParcelPost(Sys, new InProcessBlobLane()),
        };
        var role = Sys.ActorOf(props(new FlowContext(definition, TestActor, TestActor, 1, _cancel.Token, CancellationToken.None)));
        ExpectMsg<RoleOpened>();
        return role;
    }

    private static void AssertScoresOf(Rollout rollout, RolloutScored scored)
    {
        Assert.Equal(RolloutMark.Of(rollout), scored.Mark);
        Assert.Equal(FakeScorer.Mark(rollout, 0), scored.Scores.Values[0].Span[0]);
    }

    private static Rollout RolloutOf(long version, int token)
    {
        var prompts = new PromptBatch(s_batch, Ragged.FromRows([new[] { 1, 2, 3 }]), [0], [0], ["{}"], "fake");
        return new Rollout(
            prompts, Ragged.FromRows([new[] { token, 7 }]), Ragged.FromRows([new[] { -1f, -2f }]), Ragged.FromRows([new[] { true, true }]),
            Ragged.FromRows([new[] { version, version }]), [FinishReason.Stop]);
    }
}
