using System.Collections.Immutable;
using Akka.Actor;
using Akka.Configuration;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>The leader of an attempt among probes that stand for its roles on other nodes: what it asks for, and how often.</summary>
[Trait("Category", "CI")]
public sealed class IterationActorTests : TestKit
{
    private static readonly TimeSpan s_again = TimeSpan.FromMilliseconds(20);
    private static readonly string[] s_slots = [RoleSlots.Prompts, RoleSlots.Experience, "rollout.1", "reward.1", "trainers.policy", "trainers.critic"];
    private readonly TestProbe _run;
    private readonly TestProbe _journal;
    private readonly TestProbe _node;
    private readonly Dictionary<string, TestProbe> _roles = [];
    private readonly CancellationTokenSource _cancel = new();
    private IActorRef _leader = ActorRefs.Nobody;

    public IterationActorTests()
        : base(ConfigurationFactory.ParseString(WireHocon.Text).WithFallback(ConfigurationFactory.ParseString(RunHocon.Dispatchers + "\nakka.loglevel = ERROR\nakka.stdout-loglevel = OFF")))
    {
        (_run, _journal, _node) = (CreateTestProbe("run"), CreateTestProbe("journal"), CreateTestProbe("node"));

        // What most of these tests do not look at.
        _run.IgnoreMessages(message => message is ReaderOpened);
    }

    [Fact]
    public void A_reader_that_is_lost_while_the_attempt_opens_is_awaited_in_another_place()
    {
        Start(staleness: 0);
        foreach (var slot in s_slots.Where(slot => slot != "rollout.1"))
            Open(slot);
        _leader.Tell(new SlotsLost(["rollout.1"]));
        _run.ExpectNoMsg(TimeSpan.FromMilliseconds(100));

        _leader.Tell(new SlotPlaced("rollout.2", _node));
        Open("rollout.2");

        _run.ExpectMsg<FlowOpened>();
        Publish(iteration: 0, "rollout.2", "reward.1");
        Assert.Equal(1, Next<StartIteration>(RoleSlots.Prompts).Window.Iteration);
    }

    [Fact]
    public void A_publication_waits_for_those_who_take_the_place_of_lost_readers()
    {
        Start(staleness: 0);
        OpenAll();
        Publish(iteration: 0, "rollout.1", "reward.1");
        Train(1);
        _leader.Tell(new SlotsLost(["rollout.1", "reward.1"]));
        foreach (var (slot, trainer) in Trainers)
            Tell(slot, new ShardTrained(new BatchId(1, 0), trainer, new Dictionary<string, double>(), TimeSpan.Zero));
        Next<PublishWeights>("trainers.policy", publish => publish.Iteration == 1);
        Next<PublishWeights>("trainers.policy", publish => publish.Iteration == 1);
        _leader.Tell(new SlotPlaced("rollout.2", _node));
        _leader.Tell(new SlotPlaced("reward.2", _node));
        Open("rollout.2");
        Open("reward.2");

        Publish(iteration: 1, "rollout.2", "reward.2");

        Assert.Equal(2, Next<StartIteration>(RoleSlots.Prompts, start => start.Window.Iteration == 2).Window.Iteration);
    }

    [Fact]
    public void What_the_trainers_have_is_not_sent_again()
    {
        Start(staleness: 0);
        OpenAll();
        Publish(iteration: 0, "rollout.1", "reward.1");
        Next<ResendWindow>(RoleSlots.Experience);
        Train(1);
        Next<RepeatStep>("trainers.policy");
        Mark(RoleSlots.Experience);
        Next<string>(RoleSlots.Experience);

        // Both are asked for what they said last, and nobody for the window.
        foreach (var (slot, _) in Trainers)
            for (var i = 0; i < 3; i++)
                Next<RepeatStep>(slot);
        Mark(RoleSlots.Experience);
        _roles[RoleSlots.Experience].ExpectMsg<string>();

        // Only one of them hears the verdict on a step that only one has.
        foreach (var step in (int[])[0, 1])
            foreach (var (slot, trainer) in Trainers.Where(trainer => step == 0 || trainer.Id.Model == "policy"))
                Tell(slot, new StepComputed(new BatchId(1, 0), trainer, step, IsFinite: true));
        Assert.Equal(1, Next<FinishStep>("trainers.policy", finish => finish.Step == 1).Step);
        for (var i = 0; i < 3; i++)
            Assert.Equal(0, Next<FinishStep>("trainers.critic").Step);
        Mark(RoleSlots.Experience);
        _roles[RoleSlots.Experience].ExpectMsg<string>();
    }

    [Fact]
    public void What_comes_twice_counts_once()
    {
        Start(staleness: 0);
        OpenAll();
        Publish(iteration: 0, "rollout.1", "reward.1");
        Train(1);
        Tell(RoleSlots.Experience, Built(1, mean: 9));
        for (var i = 0; i < 3; i++)
        {
            Tell("trainers.critic", Trained(0, "critic"));
            Tell("trainers.critic", Trained(1, "critic"));
        }

        Tell("trainers.policy", Trained(1, "policy"));
        Publish(iteration: 1, "rollout.1", "reward.1");

        var report = _run.FishForMessage<IterationEnded>(_ => true).Report;
        Assert.Equal((1L, 2.0, 2.0, 1.0), (report.Iteration, report.Metrics["timing/learn_s"], report.Metrics["perf/tflops"], report.Metrics["reward/mean"]));

        static ShardTrained Trained(long iteration, string model) => new(
            new BatchId(iteration, 0), new TrainerId(model, 0), new Dictionary<string, double> { ["perf/tflops"] = 1 }, TimeSpan.FromSeconds(1));
    }

    [Fact]
    public void A_window_that_the_journal_has_not_opened_is_not_begun()
    {
        Start(staleness: 1);
        OpenAll();
        Publish(iteration: 0, "rollout.1", "reward.1");
        Assert.Equal(1, _journal.FishForMessage<OpenWindow>(_ => true).Iteration);

        // Long enough for it to be asked again.
        for (var i = 0; i < 2; i++)
            Next<TrainWindow>(RoleSlots.Experience);
        _roles[RoleSlots.Prompts].FishForMessage<PoolsChanged>(_ => true);
        _roles[RoleSlots.Prompts].ExpectNoMsg(TimeSpan.FromMilliseconds(100));
        _leader.Tell(new WindowOpened(1, ImmutableSortedDictionary<int, BatchParts>.Empty));

        Assert.Equal(1, Next<StartIteration>(RoleSlots.Prompts).Window.Iteration);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_reader_that_is_lost_with_its_state_takes_the_run_back(bool isOpen)
    {
        var image = new StateImage("reward.1");
        Start(staleness: 0, new RunState(3, 1, default, new Dictionary<string, StateImage> { ["reward.1"] = image }) { Folder = "unused" });
        if (isOpen)
            Open("reward.1", new RoleFacts { HasState = true });

        _leader.Tell(new SlotsLost(["rollout.1"]));
        _run.ExpectNoMsg(TimeSpan.FromMilliseconds(50));
        _leader.Tell(new SlotsLost(["reward.1"]));

        Assert.Equal(["reward.1"], _run.ExpectMsg<StateLost>().Slots);
    }

    [Fact]
    public void Whoever_was_not_heard_to_open_is_asked_for_again_also_while_the_run_goes_on()
    {
        Start(staleness: 0);
        OpenAll();
        Publish(iteration: 0, "rollout.1", "reward.1");
        _leader.Tell(new SlotPlaced("rollout.2", _node));
        for (var asked = 0; asked < 3; asked++)
            _node.FishForMessage<HostRole>(host => host.Slot == "rollout.2");
    }

    [Fact]
    public void The_run_is_told_which_readers_have_a_state_of_their_own()
    {
        _run.IgnoreNoMessages();
        Start(staleness: 0);
        Open("trainers.policy", new RoleFacts { HasState = true });
        Open("rollout.1");
        Open("reward.1", new RoleFacts { HasState = true });
        Assert.Equal(new ReaderOpened(1, "rollout.1", HasState: false), _run.ExpectMsg<ReaderOpened>());
        Assert.Equal(new ReaderOpened(1, "reward.1", HasState: true), _run.ExpectMsg<ReaderOpened>());
    }

    protected override void AfterAll()
    {
        _cancel.Dispose();
        base.AfterAll();
    }

    private static (string Slot, TrainerId Id)[] Trainers => [("trainers.policy", new TrainerId("policy", 0)), ("trainers.critic", new TrainerId("critic", 0))];

    private void Start(int staleness, RunState? from = null)
    {
        var definition = new RunDefinition
        {
            Plan = RunHarness.OnlinePlan with { ScoresNeeded = [ScoreKind.Rewards] },
            Roles = new FakeWorld().OnlineRoles("policy", "critic"),
            Devices = new DeviceLeases(),
            RunFolder = "unused",
            Observer = new SilentObserver(),
            Flow = new FlowOptions { ResendAfter = s_again, Staleness = staleness, SafePointShare = 0 },
            Parcels = new ParcelPost(Sys, new InProcessBlobLane()),
        };
        var flow = new FlowContext(definition, _run, ActorRefs.Nobody, 1, _cancel.Token, CancellationToken.None) { Journal = staleness > 0 ? _journal : ActorRefs.Nobody };
        var places = s_slots.ToDictionary(slot => slot, _ => (IActorRef?)_node);
        _leader = Sys.ActorOf(Props.Create(() => new IterationActor(flow, from, 0, places)));
    }

    private void OpenAll()
    {
        foreach (var slot in s_slots)
            Open(slot);
    }

    private void Open(string slot, RoleFacts? facts = null)
    {
        _roles[slot] = CreateTestProbe(slot);
        Tell(slot, new RoleOpened(0, slot, facts ?? new RoleFacts()));
    }

    private void Tell(string slot, object message) => _leader.Tell(message, _roles[slot]);

    private void Publish(long iteration, params string[] readers)
    {
        foreach (var (slot, trainer) in Trainers)
        {
            var asked = Next<PublishWeights>(slot, publish => publish.Iteration == iteration && readers.All(reader => publish.Readers.Contains(_roles[reader].Ref)));
            foreach (var reader in readers)
                Tell(reader, new WeightsLoaded(iteration, reader, new WeightsPublication(trainer.Model, 1, asked.Version, "hash", null)));
        }
    }

    // Up to where the trainers have it and say nothing more.
    private void Train(long iteration)
    {
        Tell(RoleSlots.Experience, Built(iteration, mean: 1));
        foreach (var (slot, trainer) in Trainers)
            Tell(slot, new ShardBegun(new BatchId(iteration, 0), trainer, trainer.Model == "policy" ? 2 : 1));
    }

    private static ExperienceBuilt Built(long iteration, double mean) =>
        new(iteration, new WindowSize(1, 1, 1), new Dictionary<string, double> { ["reward/mean"] = mean }, []);

    // After all that was said to it before.
    private void Mark(string slot) => _roles[slot].Tell("mark");

    private T Next<T>(string slot, Predicate<T>? isMeant = null) => _roles[slot].FishForMessage<T>(message => isMeant?.Invoke(message) ?? true);
}
