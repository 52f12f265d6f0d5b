using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Plugins of a run on several nodes are exchanged on all of them together, or on none.</summary>
[Trait("Category", "CI")]
public sealed class SpreadSwapTests
{
    private static readonly Lazy<Task<string>> s_unbroken = new(UnbrokenAsync);

    [Theory]
    [InlineData("reward")]
    [InlineData("trainers.policy")]
    [InlineData("trainers.policy", "reward", "rollout", "reference", "critic", "experience", "prompts")]
    public async Task All_nodes_switch_between_two_iterations_and_the_run_equals_an_unbroken_one(params string[] users)
    {
        var unbroken = await s_unbroken.Value;
        await using var nodes = Started(users);

        var end = await nodes.EndAsync();

        Assert.True(end.ExitCode == ExitCode.Ok, $"{end}\n{nodes.Story()}");
        Assert.Equal(unbroken, nodes.Digest());
        AssertAllOn(nodes, version: 2);
        Assert.Contains("Fake 1 -> 2 after iteration", Swapped(nodes), StringComparison.Ordinal);
        Assert.All(users, user => Assert.Contains(user, Swapped(nodes), StringComparison.Ordinal));
        Assert.All(nodes.Nodes.Values, node => Assert.Equal(1, node.Exchange.Calls.Count(call => call == "switch")));
        if (users.Contains("reward"))
        {
            Assert.Contains("reward.1, reward.2", Swapped(nodes), StringComparison.Ordinal);
            Assert.Equal(["b", "c"], nodes.Scored.Where(score => score.Version == 2).Select(score => score.Node).Distinct().Order());
        }
    }

    [Theory]
    [InlineData("score")]
    [InlineData("make trainers.policy")]
    public async Task What_one_node_refuses_in_its_trial_no_node_keeps(string call)
    {
        var unbroken = await s_unbroken.Value;
        await using var nodes = Started("reward", "trainers.policy");
        nodes.Before = (node, version, what) =>
        {
            if (version == 2 && node.Name != "b" && what.StartsWith(call, StringComparison.Ordinal))
                throw new InvalidOperationException("The rule is broken.");
        };

        await nodes.EndAsync();

        Assert.Equal(unbroken, nodes.Digest());
        AssertAllOn(nodes, version: 1);
        Assert.Contains("rolled back", Swapped(nodes), StringComparison.Ordinal);
        Assert.Contains("The rule is broken.", Swapped(nodes), StringComparison.Ordinal);
        Assert.All(nodes.Nodes.Values, node => Assert.Equal(["prepare", "users", "switch", "back"], node.Exchange.Calls));
        Assert.DoesNotContain(nodes.Notes, note => note.Kind == "restart");
    }

    [Fact]
    public async Task What_one_node_cannot_load_is_tried_on_none()
    {
        await using var nodes = Started("reward");
        nodes.Nodes["c"].Exchange.Refusal = "Its folder is not there.";
        await nodes.EndAsync();
        AssertAllOn(nodes, version: 1);
        Assert.Contains("was refused, and the run goes on with what it has: c: Its folder is not there.", Swapped(nodes), StringComparison.Ordinal);
        Assert.All(nodes.Nodes.Values, node => Assert.DoesNotContain("switch", node.Exchange.Calls));
    }

    [Fact]
    public async Task What_cannot_be_written_down_is_rolled_back()
    {
        await using var nodes = Started("reward");
        nodes.Nodes["a"].Exchange.Before = call =>
        {
            if (call == "record")
                throw new IOException("No space left on device.");
        };
        await nodes.EndAsync();
        AssertAllOn(nodes, version: 1);
        Assert.Contains("could not be written down in the run's folder: No space left on device.", Swapped(nodes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_dies_while_it_tries_the_candidate_takes_the_exchange_along_and_not_the_run()
    {
        await using var nodes = Started("reward");
        var first = 0;
        nodes.Before = (node, version, what) =>
        {
            if (version != 2 || node.Name != "c" || Interlocked.Exchange(ref first, 1) != 0)
                return;
            nodes.Start("d", "reference", "reward");
            node.Die();
        };

        var end = await nodes.EndAsync();

        Assert.True(end.ExitCode == ExitCode.Ok, $"{end}\n{nodes.Story()}");
        AssertEachOnce(nodes);
        var restart = Assert.Single(nodes.Notes, note => note.Kind == "restart").Message;
        Assert.StartsWith("Node c, with reference.1, reward.2, ", restart, StringComparison.Ordinal);
        Assert.Contains("while a plugin is exchanged", restart, StringComparison.Ordinal);
        Assert.Contains("Fake 1 stays: the run had to make all its roles anew while 2 was being tried.", Swapped(nodes), StringComparison.Ordinal);
        AssertAllOn(nodes, version: 1);
    }

    [Fact]
    public async Task A_node_without_a_role_that_dies_holds_nothing_up()
    {
        await using var nodes = Started("reward");
        var spare = nodes.Start("d", "trainer");
        spare.Exchange.Before = call =>
        {
            if (call == "switch")
                spare.Die();
        };

        await nodes.EndAsync();

        AssertEachOnce(nodes);
        Assert.Contains("Fake 1 -> 2", Swapped(nodes), StringComparison.Ordinal);
        Assert.DoesNotContain(nodes.Notes, note => note.Kind == "restart");
    }

    [Fact]
    public async Task A_node_that_comes_afterwards_uses_what_the_run_uses()
    {
        await using var nodes = Started("reward", "rollout");
        nodes.World.Before = (role, what, _) =>
        {
            if ((role, what) != ("rollout", "generate 10.0"))
                return;
            nodes.Start("d", "rollout");
            nodes.Await(() => nodes.Nodes["d"].Exchange.Version == 2, "the version of the run on the new node");
        };

        await nodes.EndAsync();

        AssertEachOnce(nodes);
        Assert.Equal(["use 2"], nodes.Nodes["d"].Exchange.Calls);
        AssertAllOn(nodes, version: 2);
    }

    [Fact]
    public async Task A_node_that_comes_afterwards_and_cannot_use_it_is_done_without()
    {
        await using var nodes = Started("reward", "rollout");
        nodes.World.Before = (role, what, _) =>
        {
            if ((role, what) != ("rollout", "generate 10.0"))
                return;
            nodes.Start("d", "rollout").Exchange.Before = _ => throw new UserErrorException("The copy cannot be read.");
            nodes.Await(() => nodes.Notes.Any(note => note.Message.StartsWith("Node d is not used any more", StringComparison.Ordinal)), "the node that is not used");
        };

        var end = await nodes.EndAsync();

        Assert.True(end.ExitCode == ExitCode.Ok, $"{end}\n{nodes.Story()}");
        AssertEachOnce(nodes);
        Assert.True(nodes.Nodes.TryRemove("d", out var late));
        await late.DisposeAsync();
        AssertAllOn(nodes, version: 2);
    }

    [Theory]
    [InlineData("switch", 1)]
    [InlineData("commit one", 2)]
    public async Task When_the_coordinator_dies_in_an_exchange_what_is_written_decides(string call, int version)
    {
        await using var nodes = Started("reward");
        nodes.Start("d", "coordinator", "trainer", "critic");
        var first = nodes.Nodes["a"];
        first.Exchange.Before = now =>
        {
            if (now == call)
                first.Die();
        };

        var end = await nodes.EndAsync();

        Assert.True(end.ExitCode == ExitCode.Ok, $"{end}\n{nodes.Story()}");
        Assert.Equal(nodes.Iterations, nodes.Reports.Last().Iteration);
        Assert.All(nodes.Scored.Where(score => score.Iteration == nodes.Iterations), score => Assert.True(score.Version == version, $"{score}\n{nodes.Story()}"));
        nodes.Nodes.TryRemove("a", out _);
        AssertAllOn(nodes, version);
        await first.DisposeAsync();
    }

    [Fact]
    public void Nodes_may_differ_in_what_was_exchanged_and_in_nothing_else()
    {
        static NodeCard Card(string fake, string other) => new(
            "n", [], "m", "h", 1, $"{fake} {other}", new Dictionary<string, string> { [NodeCard.KeyOf("Fake")] = fake, [NodeCard.KeyOf("Other")] = other }, DateTimeOffset.UtcNow);
        var own = Card("1", "1").Versions;

        Assert.Equal("", Card("2", "1").DifferencesTo(own, "Fake"));
        Assert.Equal("plugin Fake is 2 there and 1 here", Card("2", "1").DifferencesTo(own));
        Assert.Equal("plugin Other is 2 there and 1 here", Card("2", "2").DifferencesTo(own, "Fake"));
    }

    private static async Task<string> UnbrokenAsync()
    {
        await using var nodes = Started(isWished: false, "reward");
        await nodes.EndAsync();
        AssertEachOnce(nodes);
        return nodes.Digest();
    }

    private static SwapNodes Started(params string[] users) => Started(isWished: true, users);

    /// <summary>Three nodes; the reward is on two of them.</summary>
    private static SwapNodes Started(bool isWished, params string[] users)
    {
        var nodes = new SwapNodes { Users = users };
        // The fourth iteration waits until the exchange is known of: there are enough of them left then.
        nodes.World.AnswerWith = rollout =>
        {
            if (rollout.Batch.Iteration == 4 && isWished)
                nodes.Await(() => nodes.Nodes.Values.Where(node => node.Name is "a" or "b" or "c").All(node => !node.Exchange.Calls.IsEmpty || node.Exchange.Refusal is not null), "the exchange");
            return rollout;
        };
        var first = nodes.Start("a", "coordinator", "trainer", "critic");
        nodes.OnStarted = () =>
        {
            if (isWished)
                first.Exchange.Wish("one");
        };
        nodes.Start("b", "rollout", "reward");
        nodes.Start("c", "reference", "reward");
        return nodes;
    }

    private static string Swapped(SwapNodes nodes) => Assert.Single(nodes.Notes, note => note.Kind == "swap").Message;

    private static void AssertAllOn(SwapNodes nodes, int version)
    {
        Assert.All(nodes.Nodes.Values.Where(node => !node.IsDead), node => Assert.True(node.Exchange.Version == version, nodes.Story()));
        Assert.Equal(version == 1 ? [] : [$"hash {version}"], nodes.Record.Versions.Select(copy => copy.Fingerprint));
        if (nodes.Users.Contains("reward"))
            Assert.All(nodes.Scored.Where(score => score.Iteration == nodes.Iterations), score => Assert.Equal(version, score.Version));
    }

    private static void AssertEachOnce(SwapNodes nodes) => Assert.Equal(
        Enumerable.Range(1, (int)nodes.Iterations).Select(iteration => (long)iteration),
        nodes.Reports.Where(report => report.Purpose == BatchPurpose.Train).Select(report => report.Iteration));
}
