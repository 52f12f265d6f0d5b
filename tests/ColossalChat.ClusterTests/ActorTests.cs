using Akka.Actor;
using Akka.Configuration;
using Akka.TestKit.Xunit2;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Single role actors among probes: what they send, and what they drop.</summary>
[Trait("Category", "CI")]
public sealed class ActorTests : TestKit
{
    private readonly FakeWorld _world = new();
    private readonly CancellationTokenSource _cancel = new();

    public ActorTests()
        : base(ConfigurationFactory.ParseString(RunHocon.Dispatchers + "\nakka.loglevel = ERROR\nakka.stdout-loglevel = OFF"))
    {
    }

    [Fact]
    public void The_prompt_actor_starts_no_batch_without_a_credit()
    {
        var prompts = ChildActorOf(flow => Props.Create(() => new PromptActor(flow, () => new FakePrompts(_world), null)));
        var window = WindowOf(batches: 5);

        prompts.Tell(new PoolsChanged(new Pools([TestActor], [])));
        prompts.Tell(new StartIteration(window, Prompts: 5, AnswersPerPrompt: 1, RowsPerBatch: 1));

        Assert.Equal([0, 1], ReceiveShards(2));
        ExpectNoMsg(TimeSpan.FromMilliseconds(100));
        prompts.Tell(new BatchJoined(new BatchId(1, 1)));
        prompts.Tell(new BatchJoined(new BatchId(1, 1)));
        Assert.Equal([2], ReceiveShards(1));
        ExpectNoMsg(TimeSpan.FromMilliseconds(100));
    }

    [Fact]
    public void The_experience_actor_drops_late_parts_and_builds_a_window_once()
    {
        var experience = ChildActorOf(flow => Props.Create(() => new ExperienceActor(flow, () => new FakeExperience(_world), null)));
        var window = WindowOf(batches: 2);
        var parts = new[] { 1, 0 }.SelectMany(shard => PartsOf(window, shard)).ToArray();

        foreach (var part in parts)
            experience.Tell(part);
        foreach (var part in parts)
            experience.Tell(part);

        Assert.Equal(1, ExpectMsg<BatchJoined>().Batch.Shard);
        Assert.Equal(0, ExpectMsg<BatchJoined>().Batch.Shard);
        var outcomes = ReceiveN(2);
        Assert.Equal(2, Assert.Single(outcomes.OfType<ExperienceBuilt>()).Size.Rows);
        Assert.Equal(new BatchId(1, 0), Assert.Single(outcomes.OfType<TrainShard>()).Batch);
        ExpectNoMsg(TimeSpan.FromMilliseconds(100));
        Assert.Equal([0, 1], Assert.Single(_world.Windows).Select(part => part.Rollout.Batch.Shard));
    }

    [Fact]
    public void A_trainer_drops_the_verdict_on_a_step_of_another_iteration()
    {
        var trainer = ChildActorOf(flow => Props.Create(() => new TrainerActor(flow, new TrainerId("policy", 0), (_, _) => new FakeTrainer(_world, "policy"), null)));
        trainer.Tell(new TrainShard(new BatchId(2, 0), new TrainRequest(2, 9, new FakeBatches(_world).HeldOut[0])));
        Assert.Equal(2, ExpectMsg<ShardBegun>().Steps);
        Assert.Equal(0, ExpectMsg<StepComputed>().Step);

        trainer.Tell(new FinishStep(new BatchId(1, 0), 0, Apply: true));
        ExpectNoMsg(TimeSpan.FromMilliseconds(100));
        trainer.Tell(new FinishStep(new BatchId(2, 0), 0, Apply: true));

        Assert.Equal(1, ExpectMsg<StepComputed>().Step);
        Assert.Single(_world.CallsOf("trainers.policy"), call => call == "finish 0 apply");
    }

    [Fact]
    public void Weights_of_a_publisher_that_was_replaced_are_not_loaded()
    {
        var rollout = ChildActorOf(flow => Props.Create(() => new RolloutActor(flow, RoleSlots.Rollout, () => new FakeRollout(_world), null)));

        rollout.Tell(new WeightsReady(1, new WeightsPublication("policy", Epoch: 2, Version: 5, "hash", null)));
        Assert.Equal(5, ExpectMsg<WeightsLoaded>().Publication.Version);
        rollout.Tell(new WeightsReady(1, new WeightsPublication("policy", Epoch: 1, Version: 6, "hash", null)));

        ExpectNoMsg(TimeSpan.FromMilliseconds(100));
        Assert.Equal(["load policy 5"], _world.CallsOf("rollout"));
    }

    [Fact]
    public void An_actor_whose_role_failed_waits_until_it_may_start_it_anew()
    {
        FailureTests.ThrowOnce(_world, "rollout", "generate 1.0");
        var rollout = ChildActorOf(flow => Props.Create(() => new RolloutActor(flow, RoleSlots.Rollout, () => _world.Count("rollout", new FakeRollout(_world)), null)));
        var window = WindowOf(batches: 1);
        rollout.Tell(new WeightsReady(0, new WeightsPublication("policy", Epoch: 1, Version: 1, "hash", null)));
        ExpectMsg<WeightsLoaded>();

        rollout.Tell(new GenerateRollout(new BatchId(1, 0), window, PromptsOf(0)));

        var failed = ExpectMsg<RoleFailed>();
        Assert.Equal(("rollout", new BatchId(1, 0), Repair.Restart), (failed.Role, failed.Batch, failed.Repair));
        ExpectNoMsg(TimeSpan.FromMilliseconds(100));
        rollout.Tell(new RestartRole());
        Assert.Equal(new BatchId(1, 0), ExpectMsg<RolloutDone>().Batch);
    }

    [Fact]
    public void An_actor_refuses_more_calls_than_credits_can_bring()
    {
        using var release = new ManualResetEventSlim();
        _world.Before = (_, call, _) =>
        {
            if (call.StartsWith("generate", StringComparison.Ordinal))
                release.Wait(CancellationToken.None);
        };
        var rollout = ChildActorOf(flow => Props.Create(() => new RolloutActor(flow, RoleSlots.Rollout, () => new FakeRollout(_world), null)));
        var window = WindowOf(batches: 99);

        // One runs, and 2 credits + 2 models + 8 may wait.
        for (var shard = 0; shard < 14; shard++)
            rollout.Tell(new GenerateRollout(new BatchId(1, shard), window, PromptsOf(shard)));

        var refused = ExpectMsg<InvalidOperationException>();
        release.Set();
        Assert.Contains("rollout was asked to generate (batch 1.13) while 12 calls wait", refused.Message, StringComparison.Ordinal);
        Assert.Contains("flow.batches-in-flight = 2", refused.Message, StringComparison.Ordinal);
    }

    protected override void AfterAll()
    {
        _cancel.Dispose();
        base.AfterAll();
    }

    // The test actor stands for every other actor of the run, the parent included.
    private IActorRef ChildActorOf(Func<FlowContext, Props> props)
    {
        var definition = new RunDefinition
        {
            Plan = RunHarness.OnlinePlan,
            Roles = _world.OnlineRoles("policy", "critic"),
            Devices = new DeviceLeases(),
            RunFolder = "unused",
            Observer = new Nobody(),
            Flow = new FlowOptions { BatchesInFlight = 2 },
        };
        var (test, child) = (TestActor, props(new FlowContext(definition, TestActor, TestActor, 1, _cancel.Token, CancellationToken.None)));
        var parent = Sys.ActorOf(Props.Create(() => new Parent(test, child)));
        ExpectMsg<RoleOpened>();
        return parent;
    }

    private Window WindowOf(int batches) => new(1, BatchPurpose.Train, batches, new Route(
        TestActor, [], TestActor,
        new TrainingRoute(new Dictionary<TrainerId, IActorRef> { [new TrainerId("policy", 0)] = TestActor }, 1, 9)));

    private int[] ReceiveShards(int count) =>
        Enumerable.Range(0, count).Select(_ => ExpectMsg<GenerateRollout>().Batch.Shard).ToArray();

    private static PromptBatch PromptsOf(int shard) =>
        new(new BatchId(1, shard), Ragged.FromRows([new[] { 1, 2, 3 }]), [0], [0], ["{}"], "fake");

    private static object[] PartsOf(Window window, int shard)
    {
        var rollout = new Rollout(
            PromptsOf(shard), Ragged.FromRows([new[] { 2 }]), Ragged.FromRows([new[] { -1f }]), Ragged.FromRows([new[] { true }]),
            Ragged.FromRows([new[] { 1L }]), [FinishReason.Stop]);
        var scores = Enum.GetValues<ScoreKind>().Select(kind => Scores.Of(kind, Ragged.Scalars<float>(new[] { 0.5f })));
        return
        [
            .. scores.Select(score => new RolloutScored(rollout.Batch, window, score, TimeSpan.Zero)),
            new RolloutDone(rollout.Batch, window, rollout, TimeSpan.Zero),
        ];
    }

    private sealed class Parent : ReceiveActor
    {
        private readonly IActorRef _test;

        public Parent(IActorRef test, Props props)
        {
            _test = test;
            var child = Context.ActorOf(props);
            ReceiveAny(message => (Sender.Equals(child) ? test : child).Forward(message));
        }

        // As the iteration actor does: what an actor of the flow throws is the host's own fault.
        protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(error =>
        {
            _test.Tell(error);
            return Directive.Stop;
        });
    }

    private sealed class Nobody : IRunObserver
    {
        public void Started(long firstIteration, long iterations)
        {
        }

        public void Reported(IterationReport report)
        {
        }

        public void Noted(string kind, string message)
        {
        }
    }
}
