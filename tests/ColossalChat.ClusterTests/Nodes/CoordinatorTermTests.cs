using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests.Nodes;

/// <summary>Who leads a run, and whether there is anything left to lead.</summary>
[Trait("Category", "CI")]
public sealed class CoordinatorTermTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("colossalchat-term-").FullName;

    [Fact]
    public void A_coordinator_that_was_replaced_writes_nothing_more()
    {
        var (first, second) = (new CoordinatorTerm(_folder, "a"), new CoordinatorTerm(_folder, "b"));
        first.Begin(first.Next(above: 0));
        first.Require();
        second.Begin(second.Next(above: 0));
        second.Require();
        Assert.Contains("Node b leads the run since attempt 2", Assert.Throws<UserErrorException>(first.Require).Message, StringComparison.Ordinal);
        Assert.Throws<UserErrorException>(() => first.End(new RunOver(ExitCode.Ok, "")));
    }

    [Fact]
    public void A_coordinator_that_was_replaced_cannot_lead_again_by_beginning_another_attempt()
    {
        var (first, second) = (new CoordinatorTerm(_folder, "a"), new CoordinatorTerm(_folder, "b"));
        first.Begin(first.Next(above: 0));
        second.Begin(second.Next(above: 0));
        Assert.Throws<UserErrorException>(() => first.Next(above: 1));
        Assert.Throws<UserErrorException>(first.Require);
        Assert.Throws<UserErrorException>(() => first.Begin(3));
        second.Require();
        Assert.Equal(3, second.Next(above: 2));
    }

    [Fact]
    public void A_coordinator_that_was_replaced_before_its_first_attempt_writes_nothing()
    {
        var (first, second) = (new CoordinatorTerm(_folder, "a"), new CoordinatorTerm(_folder, "b"));
        first.Lead();
        second.Lead();
        Assert.Contains("Node b leads", Assert.Throws<UserErrorException>(() => first.Next(above: 0)).Message, StringComparison.Ordinal);
        Assert.Equal(2, second.Next(above: 0));
    }

    [Fact]
    public void Whatever_an_old_coordinator_still_writes_makes_it_no_leader()
    {
        var (first, second) = (new CoordinatorTerm(_folder, "a"), new CoordinatorTerm(_folder, "b"));
        first.Begin(first.Next(above: 0));
        var paused = File.ReadAllText(Path.Combine(_folder, "coordinator.json"));
        second.Begin(second.Next(above: 0));
        File.WriteAllText(Path.Combine(_folder, "coordinator.json"), paused);

        Assert.Throws<UserErrorException>(first.Require);
        second.Require();
    }

    [Fact]
    public void No_number_belongs_to_two()
    {
        var terms = Enumerable.Range(0, 8).Select(node => new CoordinatorTerm(_folder, $"n{node}")).ToArray();
        var numbers = new long[terms.Length];
        Parallel.For(0, terms.Length, node =>
        {
            try
            {
                terms[node].Lead();
                numbers[node] = terms[node].Next(above: 0);
            }
            catch (UserErrorException)
            {
                numbers[node] = -node - 1; // Another was quicker.
            }
        });
        Assert.Equal(numbers.Length, numbers.Distinct().Count());
        Assert.Single(terms, term => Record.Exception(term.Require) is null);
    }

    [Fact]
    public void Attempts_are_counted_above_those_of_the_checkpoints_without_a_gap()
    {
        var (first, second) = (new CoordinatorTerm(_folder, "a"), new CoordinatorTerm(_folder, "b"));
        first.Lead();
        Assert.Equal(5, first.Next(above: 4));
        Assert.Equal(6, first.Next(above: 5));
        Assert.False(first.HasBegun);
        second.Lead();
        Assert.Throws<UserErrorException>(first.Require);
        Assert.Equal(7, second.Next(above: 4));
        second.Begin(7);
        Assert.True(first.HasBegun);
    }

    [Fact]
    public void A_run_that_ended_well_is_over_for_every_process_and_one_that_failed_for_those_that_were_there()
    {
        var term = new CoordinatorTerm(_folder, "a");
        var before = term.Mark;
        Assert.Null(term.EndedSince(before));
        term.Begin(term.Next(above: 0));
        Assert.Null(term.EndedSince(before));

        term.End(new RunOver(ExitCode.Failed, "It failed."));
        var after = term.Mark;
        Assert.Equal(new RunOver(ExitCode.Failed, "It failed."), term.EndedSince(before));
        Assert.Null(term.EndedSince(after));

        term.End(new RunOver(ExitCode.Ok, "Ended after iteration 3."));
        Assert.Equal("Ended after iteration 3.", term.EndedSince(before)!.Message);
        Assert.Contains("run.name", term.EndedSince(term.Mark)!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Whoever_leads_nothing_says_nothing_of_its_end() =>
        Assert.Throws<InvalidOperationException>(() => new CoordinatorTerm(_folder, "a").End(new RunOver(ExitCode.Ok, "")));

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
