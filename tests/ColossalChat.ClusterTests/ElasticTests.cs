using System.Collections.Concurrent;
using System.Globalization;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Roles that write answers come and go while a run with stale rollouts goes on.</summary>
[Trait("Category", "CI")]
public sealed class ElasticTests
{
    // While iteration 3 trains.
    private const long Published = 3;
    private const string Attempt = "/user/run-*/iteration-1";
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task One_that_comes_has_the_newest_weights_before_its_first_batch()
    {
        var (world, calls) = (new FakeWorld(), new ConcurrentQueue<(int Writer, string What)>());
        using var hasCome = new ManualResetEventSlim();
        using var hasBatch = new ManualResetEventSlim();
        await using var run = StalenessTests.Harness(world, staleness: 1, iterations: 12);
        var made = 0;
        run.Roles = world.OnlineRoles("policy", "critic") with { Rollout = () => new OwnWriter(Interlocked.Increment(ref made), new FakeRollout(world), (writer, what) =>
        {
            calls.Enqueue((writer, what));
            if (writer == 2)
                hasCome.Set();
            if (writer == 2 && what.StartsWith("generate", StringComparison.Ordinal))
                hasBatch.Set();
        }) };
        world.Before = (role, what, cancel) =>
        {
            if (role == "trainers.policy" && what == "begin 3/12")
                run.System.ActorSelection(Attempt).Tell(new SlotPlaced("rollout.2", null!));
            if (role == "trainers.policy" && what == "begin 4/12")
                Assert.True(hasCome.Wait(s_patience, cancel), "nobody came");
            if (role == "trainers.policy" && what == "begin 11/12")
                Assert.True(hasBatch.Wait(s_patience, cancel), "the one that came got no batch");
        };

        Assert.Null((await run.RunAsync()).Failure);

        var own = calls.Where(call => call.Writer == 2).Select(call => call.What).ToArray();
        Assert.StartsWith("load", own[0], StringComparison.Ordinal);
        Assert.Contains(own.TakeWhile(what => !what.StartsWith("generate", StringComparison.Ordinal)), what =>
            what.StartsWith("load policy", StringComparison.Ordinal) && long.Parse(what.Split(' ')[2], CultureInfo.InvariantCulture) >= Published);
        AssertEachOnce(run, 12);
    }

    [Fact]
    public async Task No_batch_is_lost_or_doubled_When_one_leaves()
    {
        var (world, made) = (new FakeWorld(), 0);
        using var others = new ManualResetEventSlim();
        await using var run = StalenessTests.Harness(world, staleness: 2, iterations: 6);
        var left = 0;
        run.Roles = world.OnlineRoles("policy", "critic") with { Rollout = () => new OwnWriter(Interlocked.Increment(ref made), new FakeRollout(world), (writer, what) =>
        {
            // The first one leaves with a batch of window 4 in its hands, which it finishes all the same, and differently.
            if (writer == 1 && what.StartsWith("generate 4.", StringComparison.Ordinal) && Interlocked.Exchange(ref left, 1) == 0)
            {
                run.System.ActorSelection(Attempt).Tell(new SlotsLost(["rollout"]));
                others.Wait(s_patience);
            }
            else if (writer == 2 && Volatile.Read(ref left) == 1 && what.StartsWith("generate", StringComparison.Ordinal))
            {
                others.Set();
            }
        }) };
        world.Before = (role, what, _) =>
        {
            if (role == "trainers.policy" && what == "begin 1/6")
                run.System.ActorSelection(Attempt).Tell(new SlotPlaced("rollout.2", null!));
        };

        Assert.Null((await run.RunAsync()).Failure);

        Assert.Equal((1, 2), (left, made));
        AssertEachOnce(run, 6);
    }

    private static void AssertEachOnce(RunHarness run, int iterations)
    {
        Assert.Equal(Enumerable.Range(1, iterations).Select(iteration => (long)iteration), run.World.Windows.Select(window => window[0].Rollout.Batch.Iteration));
        foreach (var window in run.World.Windows)
        {
            Assert.Equal([0, 1, 2], window.Select(part => part.Rollout.Batch.Shard));
            Assert.All(window, FakeScorer.AssertOwn);
        }

        JournalFlowTests.AssertExactlyOnce(run.RunFolder, iterations, attempts: 1);
    }
}
