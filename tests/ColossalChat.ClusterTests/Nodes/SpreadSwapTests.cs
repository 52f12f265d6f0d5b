using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Plugins of a run on several nodes are exchanged on all of them together, or on none.</summary>
[Trait("Category", "CI")]
public sealed class SpreadSwapTests
{
    [Fact]
    public async Task All_nodes_switch_between_two_iterations_and_none_is_lost()
    {
        await using var nodes = Started();
        var end = await nodes.EndAsync();

        Assert.True(end.ExitCode == ExitCode.Ok, nodes.Story());
        AssertEachOnce(nodes);
        Assert.All(nodes.Nodes.Values, node => Assert.True(node.Exchange.Version == 2, nodes.Story()));
        Assert.Contains("Fake 1 -> 2 after iteration", Swapped(nodes), StringComparison.Ordinal);
        Assert.Contains("reward.1, reward.2", Swapped(nodes), StringComparison.Ordinal);
        AssertOneVersionAnIteration(nodes, lastVersion: 2);
        Assert.Equal(["1", "2"], nodes.Scored.Select(score => score.Node == "b" ? "1" : "2").Distinct().Order());
        Assert.Equal("hash 2", Assert.Single(nodes.Record.Versions).Fingerprint);
    }

    /// <summary>Three nodes; the reward is on two of them.</summary>
    private static SwapNodes Started(bool isWished = true, params string[] users)
    {
        var nodes = new SwapNodes { Users = users.Length == 0 ? ["reward"] : users };
        var exchanges = nodes.Nodes;
        nodes.World.AnswerWith = rollout =>
        {
            // The fourth iteration waits until the exchange is known of: there are enough of them left then.
            if (rollout.Batch.Iteration == 4 && isWished)
                Assert.True(SpinWait.SpinUntil(() => exchanges.Values.All(node => !node.Exchange.Calls.IsEmpty), TimeSpan.FromSeconds(20)), "The run did not look for the exchange.");
            return rollout;
        };
        var first = nodes.Start("a", "coordinator", "trainer", "critic");
        if (isWished)
            first.Exchange.Wish("one");
        nodes.Start("b", "rollout", "reward");
        nodes.Start("c", "reference", "reward");
        return nodes;
    }

    private static string Swapped(SwapNodes nodes) => Assert.Single(nodes.Notes, note => note.Kind == "swap").Message;

    private static void AssertEachOnce(SwapNodes nodes) => Assert.Equal(
        Enumerable.Range(1, (int)nodes.Iterations).Select(iteration => (long)iteration),
        nodes.Reports.Where(report => report.Purpose == BatchPurpose.Train).Select(report => report.Iteration));

    // What is tried is scored again with the candidate; an iteration's own scores come first.
    private static void AssertOneVersionAnIteration(SwapNodes nodes, int lastVersion)
    {
        var tried = nodes.Scored.GroupBy(score => score.Iteration).Where(iteration => iteration.Select(score => score.Version).Distinct().Count() > 1).ToArray();
        Assert.InRange(tried.Length, 0, 1);
        Assert.All(nodes.Scored.Where(score => score.Iteration == nodes.Iterations), score => Assert.Equal(lastVersion, score.Version));
    }
}
