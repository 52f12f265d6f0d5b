using Akka.Actor;
using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests.Nodes;

/// <summary>What the supervisor of a run does when nodes come, fall silent, go and leave.</summary>
[Trait("Category", "CI")]
public sealed class SpreadRunTests : IAsyncLifetime, IDisposable
{
    private static readonly string[] s_scorers = [RoleSlots.Rollout, "reference", "critic", "reward"];
    private static readonly Dictionary<string, RoleNodes> s_twoRollouts = new() { [RoleSlots.Rollout] = new() { Nodes = 2 } };
    private readonly SpreadRun _run = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _run.DisposeAsync();

    public void Dispose() => _run.Dispose();

    // ---- How many nodes ----

    [Fact]
    public async Task A_run_begins_with_all_its_nodes_and_goes_on_after_a_rewind_with_those_that_are_left()
    {
        _run.Start(s_twoRollouts);
        _run.Come("scorers", s_scorers);
        _run.Come("trainer", RoleSlots.Trainer);
        await _run.NoteAsync("role rollout needs 2 nodes; 1 are there");
        _run.Come("writer", RoleSlots.Rollout);
        await _run.NoteAsync("Roles are placed");

        _run.Run.Tell(new NodeGone("writer"));
        await _run.NoteAsync("rollout.2 on writer is lost");
        _run.Run.Tell(new NodeGone("trainer"));
        await _run.NoteAsync("All roles are made anew");
        _run.Come("other", RoleSlots.Trainer);

        Assert.Contains("trainers.critic trainers.policy on other", (await _run.NoteAsync("Roles are placed")).Message, StringComparison.Ordinal);
        _run.Come("late", RoleSlots.Rollout);
        await _run.NoteAsync("rollout.2 is hosted by late");
    }

    [Fact]
    public async Task Another_coordinator_goes_on_with_the_nodes_that_are_left()
    {
        Began("before");
        _run.Start(s_twoRollouts);
        _run.Come("scorers", s_scorers);
        _run.Come("trainer", RoleSlots.Trainer);
        await _run.NoteAsync("Roles are placed");
    }

    // ---- Lost ----

    [Fact]
    public async Task Readers_of_a_silent_node_go_elsewhere_and_come_back_with_it()
    {
        _run.Start();
        _run.Come("a", s_scorers);
        _run.Come("b", "reward", RoleSlots.Rollout);
        _run.Come("t", RoleSlots.Trainer);
        await _run.NoteAsync("Roles are placed");
        _run.Run.Tell(new NodeSilent("b"));
        await _run.NoteAsync("Node b does not answer");
        await _run.NoteAsync("on b is lost; the batches go to others");
        Assert.NotEmpty((await _run.ToldSoFarAsync("b")).OfType<EndRole>());
        _run.Come("b", "reward", RoleSlots.Rollout);
        await _run.NoteAsync("Node b can be reached again");
        await _run.NoteAsync("is hosted by b");
    }

    [Fact]
    public async Task A_role_that_has_nowhere_to_run_ends_the_run_after_the_wait()
    {
        _run.Start(wait: TimeSpan.FromSeconds(1));
        _run.Come("a", [.. s_scorers.Except(["reward"]), RoleSlots.Trainer]);
        _run.Come("b", "reward");
        await _run.NoteAsync("Roles are placed");
        _run.Run.Tell(new NodeSilent("b"));
        var end = await _run.Ended;
        Assert.Equal(ExitCode.Resource, end.ExitCode);
        Assert.Contains("A role has nowhere to run: role reward has no node", end.Failure, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_comes_within_the_wait_saves_the_run()
    {
        _run.Start(wait: TimeSpan.FromSeconds(3));
        _run.Come("a", [.. s_scorers.Except(["reward"]), RoleSlots.Trainer]);
        _run.Come("b", "reward");
        await _run.NoteAsync("Roles are placed");
        _run.Run.Tell(new NodeGone("b"));
        await _run.NoteAsync("Node b is gone");
        _run.Come("c", "reward");
        await _run.NoteAsync("reward.2 is hosted by c");
        Assert.False(_run.Ended.IsCompleted);
    }

    [Fact]
    public async Task Ranks_of_each_attempt_meet_where_a_port_is_free_now()
    {
        _run.Start(ranks: 2);
        _run.Come("a", s_scorers);
        _run.Come("t", RoleSlots.Trainer);
        _run.Come("u", RoleSlots.Trainer);
        await _run.NoteAsync("Roles are placed");
        Assert.Equal("tcp://127.0.0.1:1", (await _run.ToldAsync<HostRole>("u")).Meet);
        _run.Report("t", meetPort: 7);
        _run.Run.Tell(new RoleFailed(1, "trainers.policy", default, "The port is taken.", Repair.Rewind));
        await _run.ToldAsync<EndEpoch>("u");
        Assert.Equal("tcp://127.0.0.1:7", (await _run.ToldAsync<HostRole>("u")).Meet);
    }

    // ---- Of no use ----

    [Fact]
    public async Task A_late_node_that_cannot_make_its_role_is_not_used_until_it_comes_again()
    {
        await PlacedAsync();
        _run.Come("late", RoleSlots.Rollout);
        var slot = (await _run.NoteAsync("is hosted by late")).Message.Split(' ')[0];
        _run.Run.Tell(new RoleFailed(1, slot, default, "The copy cannot be read.", Repair.None, ExitCode.Resource));

        Assert.Contains("The copy cannot be read.", (await _run.NoteAsync("Node late is not used any more")).Message, StringComparison.Ordinal);
        Assert.Equal(slot, (await _run.ToldAsync<EndRole>("late")).Slot);
        await _run.NoteAsync($"{slot} on late cannot be hosted");
        // Asked again before it heard that, it fails again.
        _run.Run.Tell(new RoleFailed(1, slot, default, "The copy cannot be read.", Repair.None, ExitCode.Resource));
        _run.Come("more", RoleSlots.Rollout);
        await _run.NoteAsync("is hosted by more");
        Assert.Single(_run.Seen, note => note.Message.EndsWith("is hosted by late.", StringComparison.Ordinal));
        _run.Come("late", RoleSlots.Rollout);
        await _run.NoteAsync("is hosted by late");
    }

    [Fact]
    public async Task A_late_node_that_cannot_make_its_role_holds_up_no_exchange()
    {
        var slot = await PlacedLateAsync();
        BeginExchange();
        _run.Run.Tell(CannotHost(slot));
        await _run.NoteAsync($"{slot} on late cannot be hosted");
        Assert.DoesNotContain(_run.Seen, note => note.Message.Contains("made anew", StringComparison.Ordinal));
    }

    [Fact]
    public async Task One_that_had_made_it_takes_the_run_back_When_it_cannot_make_it_again_in_an_exchange()
    {
        var slot = await PlacedLateAsync();
        _run.Run.Tell(new ReaderOpened(1, slot, HasState: false));
        BeginExchange();
        _run.Run.Tell(CannotHost(slot));
        await _run.NoteAsync("All roles are made anew");
        Assert.DoesNotContain(" on late", (await _run.NoteAsync("Roles are placed")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_late_role_that_throws_whenever_it_is_made_costs_its_node_and_not_the_run()
    {
        var slot = await PlacedLateAsync();
        for (var ticket = 1; ticket < 9; ticket++)
            _run.Run.Tell(new RoleFailed(1, slot, default, "There is no such library.", Repair.Restart) { Ticket = ticket });
        await _run.NoteAsync("The role is made anew");
        await _run.NoteAsync("Node late is not used any more while others do: There is no such library.");
        Assert.False(_run.Ended.IsCompleted);
    }

    [Fact]
    public async Task A_late_role_that_would_have_a_state_goes_with_its_node()
    {
        await PlacedAsync();
        _run.Run.Tell(new ReaderOpened(1, "rollout.1", HasState: true));
        _run.Come("late", RoleSlots.Rollout);
        var slot = (await _run.NoteAsync("is hosted by late")).Message.Split(' ')[0];
        _run.Run.Tell(CannotHost(slot));
        await _run.NoteAsync($"{slot} on late cannot be hosted");
    }

    [Fact]
    public async Task A_node_that_could_not_do_it_once_is_asked_again_when_nobody_else_is_left()
    {
        var slot = await PlacedLateAsync();
        _run.Run.Tell(CannotHost(slot));
        await _run.NoteAsync($"{slot} on late cannot be hosted");
        _run.Run.Tell(new NodeGone("a"));
        _run.Run.Tell(new NodeGone("b"));
        await _run.NoteAsync("is hosted by late");
    }

    [Fact]
    public async Task A_coordinator_that_leaves_without_a_role_takes_part_in_exchanges_all_the_same()
    {
        _run.Plugins = new FakeExchange();
        await PlacedAsync();
        _run.Come("a", s_scorers); // The supervisor's own node.
        Assert.Contains("is leaving", (await _run.AskToLeaveAsync("a")).Message, StringComparison.Ordinal);
        await _run.ToldAsync<LeaveNow>("a");
        _run.Plugins.Wish("one");
        await _run.ToldAsync<PrepareSwap>("a");
    }

    [Fact]
    public async Task A_node_that_was_there_from_the_beginning_is_not_done_without()
    {
        await PlacedAsync();
        _run.Run.Tell(new RoleFailed(1, "reward.1", default, "The copy cannot be read.", Repair.None, ExitCode.Resource));
        Assert.Equal(ExitCode.Resource, (await _run.Ended).ExitCode);
    }

    [Fact]
    public async Task Why_the_recorded_plugins_cannot_be_used_is_how_the_run_ends()
    {
        _run.Start();
        _run.Run.Tell(new PluginsUsed(ExitCode.Resource, "The copy cannot be read."));
        var end = await _run.Ended;
        Assert.Equal((ExitCode.Resource, "The copy cannot be read."), (end.ExitCode, end.Failure));
    }

    [Fact]
    public async Task A_node_that_differs_in_a_plugin_is_used_once_that_is_exchanged()
    {
        var exchange = _run.Plugins = new FakeExchange();
        _run.Start();
        _run.Come("a", [.. s_scorers, RoleSlots.Trainer]);
        await _run.NoteAsync("Roles are placed");
        _run.ComeDifferent("late", "Fake", RoleSlots.Rollout);
        await _run.NoteAsync("Node late is not used: plugin Fake is 2 there and missing here");

        exchange.Record.Versions = [new PluginCopy("Fake", "2", "hash 2", "/fake")];
        _run.Run.Tell(new SwapRecorded(0, ""));

        await _run.NoteAsync("is hosted by late");
        Assert.Single(_run.Seen, note => note.Message.Contains("is not used", StringComparison.Ordinal));
    }

    // ---- Leaving ----

    [Fact]
    public async Task A_wish_to_leave_is_heard_by_whoever_asks_the_node_how_it_is()
    {
        await PlacedAsync();
        _run.System.ActorSelection(_run.Run.Path / "members").Tell(new NodeLeaving("b"));
        await _run.ToldAsync<LeaveNow>("b");
    }

    [Fact]
    public async Task A_node_that_is_not_used_may_go_at_once()
    {
        _run.Start();
        _run.ComeDifferent("b", "Fake", RoleSlots.Rollout);
        _run.Run.Tell(new NodeLeaving("b"));
        await _run.ToldAsync<LeaveNow>("b");
    }

    [Fact]
    public async Task A_node_that_leaves_gets_nothing_more_when_it_was_silent_for_a_moment()
    {
        await PlacedAsync();
        Assert.Contains("is leaving", (await _run.AskToLeaveAsync("b")).Message, StringComparison.Ordinal);
        await _run.ToldAsync<LeaveNow>("b");
        _run.Run.Tell(new NodeSilent("b"));
        _run.Come("b", RoleSlots.Rollout);
        await _run.NoteAsync("Node b can be reached again");

        // It may not have heard it the first time.
        await _run.ToldAsync<LeaveNow>("b");
        await _run.ToldSoFarAsync("b");
        _run.Come("c", RoleSlots.Rollout);
        await _run.NoteAsync("is hosted by c");
        Assert.DoesNotContain(_run.Seen, note => note.Message.Contains("is hosted by b", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Whoever_asks_a_second_time_is_heard()
    {
        await PlacedAsync();
        await _run.AskToLeaveAsync("b");
        await _run.ToldAsync<LeaveNow>("b");
        await _run.ToldSoFarAsync("b");
        await _run.AskToLeaveAsync("b");
        Assert.Contains(await _run.ToldSoFarAsync("b"), told => told is LeaveNow);
    }

    [Fact]
    public async Task A_node_with_trainers_waits_for_a_checkpoint_that_was_begun_after_it_was_asked()
    {
        await PlacedAsync();
        _run.EndIteration(epoch: 1, iteration: 3);
        Assert.Contains("once the state of", (await _run.AskToLeaveAsync("t")).Message, StringComparison.Ordinal);
        _run.Save(3);
        Assert.DoesNotContain(await _run.ToldSoFarAsync("t"), told => told is LeaveNow);
        _run.Save(4);
        await _run.ToldAsync<LeaveNow>("t");
    }

    [Fact]
    public async Task A_node_whose_reader_has_a_state_waits_for_a_checkpoint_like_one_with_trainers()
    {
        await PlacedAsync();
        _run.Run.Tell(new ReaderOpened(1, "reward.1", HasState: true));
        Assert.EndsWith("once the state of reward.1 is saved.", (await _run.AskToLeaveAsync("a")).Message, StringComparison.Ordinal);
        Assert.Equal(["critic.1", "reference.1", "rollout.1"], (await _run.ToldSoFarAsync("a")).OfType<EndRole>().Select(end => end.Slot).Order());
        _run.Save(1);
        await _run.ToldAsync<LeaveNow>("a");
    }

    [Fact]
    public async Task A_reader_with_a_state_stays_on_its_silent_node_until_that_is_gone()
    {
        await PlacedAsync();
        _run.Run.Tell(new ReaderOpened(1, "reward.1", HasState: true));
        _run.Run.Tell(new NodeSilent("a"));
        var lost = (await _run.NoteAsync("the batches go to others")).Message;
        Assert.Contains("critic.1", lost, StringComparison.Ordinal);
        Assert.DoesNotContain("reward.1", lost, StringComparison.Ordinal);
        _run.Run.Tell(new NodeGone("a"));
        await _run.NoteAsync("Node a is gone with reward.1");
    }

    [Fact]
    public async Task A_node_that_did_not_hear_that_its_role_went_elsewhere_is_told_again()
    {
        await PlacedAsync();
        await _run.ToldSoFarAsync("b");
        _run.Report("b", meetPort: 1, "rollout.2", "rollout.7", "trainers.policy");
        Assert.Equal([new EndRole(1, "rollout.7")], (await _run.ToldSoFarAsync("b")).OfType<EndRole>());
    }

    [Fact]
    public async Task A_silent_node_with_trainers_takes_part_in_an_exchange()
    {
        _run.Plugins = new FakeExchange();
        await PlacedAsync();
        _run.Run.Tell(new NodeSilent("t"));
        await _run.NoteAsync("Node t does not answer");
        await _run.ToldSoFarAsync("t");
        _run.Plugins.Wish("one");
        await _run.ToldAsync<PrepareSwap>("b");
        await _run.ToldAsync<PrepareSwap>("t");
    }

    [Fact]
    public async Task A_node_whose_trainers_go_elsewhere_with_a_rewind_may_go()
    {
        await PlacedAsync();
        await _run.AskToLeaveAsync("t");
        _run.Come("u", RoleSlots.Trainer);
        _run.Come("v", RoleSlots.Trainer);
        Assert.DoesNotContain(await _run.ToldSoFarAsync("t"), told => told is LeaveNow);
        _run.Run.Tell(new RoleFailed(1, "trainers.policy", default, "The trainer broke.", Repair.Rewind));
        await _run.NoteAsync("trainers.critic trainers.policy on u");
        await _run.ToldAsync<LeaveNow>("t");
    }

    private async Task<string> PlacedLateAsync()
    {
        await PlacedAsync();
        _run.Come("late", RoleSlots.Rollout);
        return (await _run.NoteAsync("is hosted by late")).Message.Split(' ')[0];
    }

    private void BeginExchange()
    {
        _run.Run.Tell(new SwapReady(new SwapOffer("one", "Fake", "1", "2", ""), new SwapRequest("one", "Fake", "/fake")));
        _run.Run.Tell(new SwapBegun(1, "one"));
    }

    private static RoleFailed CannotHost(string slot) => new(1, slot, default, "The copy cannot be read.", Repair.None, ExitCode.Resource);

    private async Task PlacedAsync()
    {
        _run.Start();
        _run.Come("a", s_scorers);
        _run.Come("b", RoleSlots.Rollout);
        _run.Come("t", RoleSlots.Trainer);
        await _run.NoteAsync("Roles are placed");
        if (!_run.Seen[^1].Message.Contains("on b", StringComparison.Ordinal))
            await _run.NoteAsync("is hosted by b");
    }

    private void Began(string node)
    {
        var term = new CoordinatorTerm(_run.Folder, node);
        term.Begin(term.Next(above: 0));
    }
}
