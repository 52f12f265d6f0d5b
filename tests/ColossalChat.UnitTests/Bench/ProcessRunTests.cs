using System.Diagnostics;
using ColossalChat.Bench;
using Xunit;

namespace ColossalChat.UnitTests.Bench;

[Trait("Category", "CI")]
public sealed class ProcessRunTests
{
    private static readonly TimeSpan s_plenty = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task Both_outputs_are_kept_however_much_it_says()
    {
        var end = await ProcessRun.ToEndAsync(Shell("head -c 300000 /dev/zero | tr '\\0' e >&2; head -c 300000 /dev/zero | tr '\\0' o; exit 3"), s_plenty, CancellationToken.None);

        Assert.Equal(3, end.ExitCode);
        Assert.False(end.IsGood);
        Assert.Equal((300000, 300000), (end.Output.Length, end.Error.Length));
        Assert.StartsWith("exit code 3:\neee", end.Problem(s_plenty), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Its_time_ends_though_it_says_nothing_and_what_it_said_before_is_kept()
    {
        var limit = TimeSpan.FromSeconds(1);
        var clock = Stopwatch.StartNew();
        var end = await ProcessRun.ToEndAsync(Shell("echo waiting >&2; sleep 100; echo late"), limit, CancellationToken.None);

        Assert.Null(end.ExitCode);
        Assert.Equal("it did not end within 1 s:\nwaiting", end.Problem(limit));
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(60), $"{clock.Elapsed}");
    }

    [Fact]
    public async Task A_caller_who_gives_up_is_told_so()
    {
        using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ProcessRun.ToEndAsync(Shell("sleep 100"), s_plenty, cancel.Token));
    }

    private static ProcessStartInfo Shell(string script) => new("sh", ["-c", script]);
}
