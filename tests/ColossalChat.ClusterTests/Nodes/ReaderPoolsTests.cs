using Akka.Configuration;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.Cluster.Tests.Nodes;

/// <summary>Which readers of weights take batches, when some of them come while weights are on their way.</summary>
[Trait("Category", "CI")]
public sealed class ReaderPoolsTests : TestKit
{
    private readonly TestProbe _prompts;
    private readonly RoleTable _roles;
    private readonly ReaderPools _pools;

    public ReaderPoolsTests()
        : base(ConfigurationFactory.ParseString(WireHocon.Text).WithFallback(ConfigurationFactory.ParseString(RunHocon.Dispatchers + "\nakka.loglevel = ERROR\nakka.stdout-loglevel = OFF")))
    {
        var definition = new RunDefinition
        {
            Plan = RunHarness.OnlinePlan with { ModelsTrained = ["policy"], ScoresNeeded = [] },
            Roles = new FakeWorld().OnlineRoles("policy"),
            Devices = new DeviceLeases(),
            RunFolder = "unused",
            Observer = new Silent(),
            Parcels = new ParcelPost(Sys, new InProcessBlobLane()),
        };
        var flow = new FlowContext(definition, TestActor, TestActor, 1, CancellationToken.None, CancellationToken.None);
        (_prompts, _roles) = (CreateTestProbe(), new RoleTable(null!, flow, null));
        _pools = new ReaderPools(flow, _roles);
        Open(RoleSlots.Prompts, _prompts);
    }

    [Fact]
    public void One_that_comes_while_weights_are_on_their_way_is_not_left_with_older_ones()
    {
        var (first, second, late) = (CreateTestProbe(), CreateTestProbe(), CreateTestProbe());
        Open("rollout.1", first);
        Open("rollout.2", second);
        _pools.Loaded(Weights("rollout.1", 1));
        _pools.Loaded(Weights("rollout.2", 1));
        Assert.Single(_prompts.ExpectMsg<PoolsChanged>().Pools.Rollouts);
        Assert.Equal(2, _prompts.ExpectMsg<PoolsChanged>().Pools.Rollouts.Count);

        // Weights of iteration 2 are published to the first two; nobody has said yet that they have them.
        Open("rollout.3", late);
        Assert.Equal(1, late.ExpectMsg<WeightsReady>().Iteration);
        _pools.Loaded(Weights("rollout.1", 2));
        Assert.Equal(2, late.ExpectMsg<WeightsReady>().Iteration);
        _pools.Loaded(Weights("rollout.3", 1));
        _prompts.ExpectNoMsg(TimeSpan.FromMilliseconds(100));
        _pools.Loaded(Weights("rollout.3", 2));
        Assert.Equal(3, _prompts.ExpectMsg<PoolsChanged>().Pools.Rollouts.Count);
    }

    [Fact]
    public void Withdrawn_weights_are_given_to_nobody_even_when_a_reader_answers_late_that_it_had_them()
    {
        var (early, late) = (CreateTestProbe(), CreateTestProbe());
        Open("rollout.1", early);
        _pools.Published(Ready("old"), new HashSet<string> { "rollout.1" });
        _pools.Withdraw(["policy"]);
        _pools.Loaded(Weights("rollout.1", 1, "old"));
        Open("rollout.2", late);
        late.ExpectNoMsg(TimeSpan.FromMilliseconds(100));

        _pools.Published(Ready("new"), new HashSet<string> { "rollout.1" });
        Assert.Equal("new", late.ExpectMsg<WeightsReady>().Publication.ContentHash);
        _pools.Loaded(Weights("rollout.2", 1, "new"));
        Assert.Single(_prompts.ExpectMsg<PoolsChanged>().Pools.Rollouts);
    }

    [Fact]
    public void Weights_of_a_model_whose_trainers_stay_are_not_withdrawn()
    {
        var late = CreateTestProbe();
        _pools.Published(Ready("old"), new HashSet<string>());
        _pools.Withdraw(["critic"]);
        Open("rollout.1", late);
        Assert.Equal("old", late.ExpectMsg<WeightsReady>().Publication.ContentHash);
        _pools.Loaded(Weights("rollout.1", 1, "old"));
        Assert.Single(_prompts.ExpectMsg<PoolsChanged>().Pools.Rollouts);
    }

    private static WeightsReady Ready(string hash) => new(1, Weights("", 1, hash).Publication);

    private void Open(string slot, TestProbe actor)
    {
        _roles.Host(slot, TestActor);
        _roles.Opened(new RoleOpened(0, slot, new RoleFacts()), actor.Ref);
        _pools.Welcome(slot, actor.Ref);
    }

    private sealed class Silent : IRunObserver
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

    private static WeightsLoaded Weights(string reader, long iteration, string hash = "hash") =>
        new(iteration, reader, new WeightsPublication("policy", Epoch: 1, Version: iteration + 1, hash, null));
}
