using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

[Trait("Category", "CI")]
public sealed class OfflineFlowTests
{
    [Fact]
    public async Task Batches_go_straight_to_training()
    {
        await using var run = new RunHarness { Plan = RunHarness.OfflinePlan };

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal((ExitCode.Ok, 6L), (end.ExitCode, end.LastIteration));
        Assert.Equal([1L, 2, 3, 4, 5, 6], run.Reports.Select(report => report.Iteration));
        Assert.Equal(Enumerable.Range(1, 6).Select(i => $"take {i}"), run.World.CallsOf("batches").Skip(1));
        Assert.DoesNotContain(run.World.CallsOf("trainers.policy"), call => call.StartsWith("publish", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Facts_about_the_data_are_told_once()
    {
        await using var run = new RunHarness { Plan = RunHarness.OfflinePlan };

        await run.RunAsync();

        Assert.Single(run.Notes, note => note == ("data", "2 rows were dropped."));
        Assert.Equal([1L], run.Reports.Where(report => report.Metrics.ContainsKey("data/rows")).Select(report => report.Iteration));
    }

    [Fact]
    public async Task Held_out_sequences_are_measured_by_the_trainer_on_schedule()
    {
        await using var run = new RunHarness { Plan = RunHarness.OfflinePlan with { EvaluateEvery = 4 } };

        await run.RunAsync();

        var measured = run.Reports.Where(report => report.Purpose == BatchPurpose.Evaluate).ToArray();
        Assert.Equal([0L, 4, 6], measured.Select(report => report.Iteration));
        Assert.All(measured, report => Assert.Contains("eval/policy", report.Metrics.Keys));
    }

    [Fact]
    public async Task Schedules_see_the_whole_run_When_it_ends_early()
    {
        await using var run = new RunHarness { Plan = RunHarness.OfflinePlan, MaxIterations = 2 };

        var end = await run.RunAsync();

        Assert.Equal((ExitCode.Ok, 2L), (end.ExitCode, end.LastIteration));
        Assert.EndsWith("step-00000002", end.Checkpoint, StringComparison.Ordinal);
        Assert.Single(end.ModelFolders);
        Assert.Contains("begin 2/6", run.World.CallsOf("trainers.policy"));
    }
}
