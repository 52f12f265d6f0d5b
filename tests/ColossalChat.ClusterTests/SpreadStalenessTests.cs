using System.Globalization;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Runs on nodes whose windows are written ahead, while messages are lost, doubled and late, and a writer is lost.</summary>
[Trait("Category", "CI")]
public sealed class SpreadStalenessTests
{
    private const int Iterations = 6;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Every_sample_is_trained_on_once_with_scores_of_its_own(int staleness)
    {
        var world = new FakeWorld();
        var isLost = 0;
        await using var run = StalenessTests.Harness(world, staleness, Iterations);
        run.Flow = run.Flow with { ResendAfter = TimeSpan.FromMilliseconds(20) };
        run.Lines = new LossyLines("rollout.1", "rollout.2", "reference.1", "critic.1", "reward.1", RoleSlots.Experience, "trainers.policy", "trainers.critic")
        {
            Own = (slot, definition) => RoleSlots.RoleOf(slot) != RoleSlots.Rollout ? definition : definition with
            {
                Roles = definition.Roles with { Rollout = () => new OwnWriter(int.Parse(slot.Split('.')[1], CultureInfo.InvariantCulture), new FakeRollout(world), (_, _) => { }) },
            },
            // Scorers get what the lost one wrote last, and nobody else does.
            IsLost = message => message is RolloutDone done && Volatile.Read(ref isLost) == 1 && OwnWriter.NumberOf(done.Rollout) == 1,
            Delivered = (slot, message, node, leader) =>
            {
                if (slot != "reward.1" || message is not ScoreRollout score || score.Batch.Iteration < 3 || OwnWriter.NumberOf(score.Rollout) != 1 || Interlocked.Exchange(ref isLost, 1) == 1)
                    return;
                leader.Tell(new SlotsLost(["rollout.1"]), node);
                leader.Tell(new SlotPlaced("rollout.3", node), node);
            },
        };

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal(1, isLost);
        Assert.True(run.Lines.Faults > 20, $"{run.Lines.Faults} faults");
        Assert.Equal(Enumerable.Range(1, Iterations).Select(iteration => (long)iteration), world.Windows.Select(window => window[0].Rollout.Batch.Iteration));
        foreach (var window in world.Windows)
        {
            Assert.Equal([0, 1, 2], window.Select(part => part.Rollout.Batch.Shard));
            Assert.All(window, FakeScorer.AssertOwn);
            Assert.All(StalenessTests.VersionsOf(window), version => Assert.InRange(window[0].Rollout.Batch.Iteration - version, 0, staleness));
        }

        foreach (var model in (string[])["policy", "critic"])
            Assert.Equal(
                Enumerable.Range(1, Iterations).SelectMany(iteration => (string[])[$"begin {iteration}/{Iterations}", "finish 0 apply", "finish 1 apply"]),
                world.CallsOf($"trainers.{model}").Where(call => call.StartsWith("begin", StringComparison.Ordinal) || call.StartsWith("finish", StringComparison.Ordinal)));
        JournalFlowTests.AssertExactlyOnce(run.RunFolder, Iterations, attempts: 1);
    }
}
