using System.Diagnostics;
using ColossalChat.Bench;
using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.UnitTests.Bench;

[Trait("Category", "CI")]
public sealed class RankTeamTests
{
    [Fact]
    public async Task Answers_come_by_rank()
    {
        Assert.Equal(["0\n", "1\n"], await Together(TimeSpan.FromMinutes(2), "sleep 0.2; echo 0", "echo 1"));
    }

    [Fact]
    public async Task The_first_failure_ends_the_others_and_is_told()
    {
        var clock = Stopwatch.StartNew();
        var error = await Assert.ThrowsAsync<UserErrorException>(() => Together(TimeSpan.FromMinutes(2), "sleep 100", "echo no room >&2; exit 4"));

        Assert.Equal("Rank 1 of 2 of the benchmark failed at all-reduces with ring: exit code 4:\nno room", error.Message);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(60), $"{clock.Elapsed}");
    }

    [Fact]
    public async Task A_limit_that_passes_is_a_failure_that_names_it_and_no_cancellation()
    {
        var error = await Assert.ThrowsAsync<UserErrorException>(() => Together(TimeSpan.FromSeconds(1), "echo 0", "sleep 100"));

        Assert.Equal(ExitCode.Failed, error.ExitCode);
        Assert.Equal("Rank 1 of 2 of the benchmark failed at all-reduces with ring: it did not end within 1 s", error.Message);
    }

    private static Task<IReadOnlyList<string>> Together(TimeSpan limit, params string[] scripts) =>
        RankTeam.TogetherAsync([.. scripts.Select(script => new ProcessStartInfo("sh", ["-c", script]))], "all-reduces with ring", limit, CancellationToken.None);
}
