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
        first.Take(first.Last + 1);
        first.Require();
        second.Take(second.Last + 1);
        second.Require();
        Assert.Contains("Node b leads the run since attempt 2", Assert.Throws<UserErrorException>(first.Require).Message, StringComparison.Ordinal);
        Assert.Throws<UserErrorException>(() => first.End(new RunOver(ExitCode.Ok, "")));
    }

    [Fact]
    public void A_run_that_ended_well_is_over_for_every_process_and_one_that_failed_for_those_that_were_there()
    {
        var (before, term) = (DateTimeOffset.UtcNow.AddMinutes(-1), new CoordinatorTerm(_folder, "a"));
        Assert.Null(term.EndedSince(before));
        term.Take(1);
        Assert.Null(term.EndedSince(before));

        var after = DateTimeOffset.UtcNow.AddMinutes(1);
        term.End(new RunOver(ExitCode.Failed, "It failed."));
        Assert.Equal(new RunOver(ExitCode.Failed, "It failed."), term.EndedSince(before));
        Assert.Null(term.EndedSince(after));

        term.End(new RunOver(ExitCode.Ok, "Ended after iteration 3."));
        Assert.Equal("Ended after iteration 3.", term.EndedSince(before)!.Message);
        Assert.Contains("run.name", term.EndedSince(after)!.Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
