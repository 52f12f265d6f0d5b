using System.Text.Json.Nodes;
using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

[Trait("Category", "CI")]
public sealed class BestCheckpointTests : IDisposable
{
    private readonly string _runFolder = Directory.CreateTempSubdirectory("colossalchat-best-").FullName;

    public void Dispose() => Directory.Delete(_runFolder, recursive: true);

    [Theory]
    [InlineData(BestIs.Lower, new[] { 2, 4, 5 })]
    [InlineData(BestIs.Higher, new[] { 3, 4, 5 })]
    public void The_best_stays_besides_the_newest(BestIs bestIs, int[] stay)
    {
        var rule = new BestRule("eval/loss", bestIs);
        foreach (var (iteration, value) in new[] { (1, 3.0), (2, 1.0), (3, 9.0), (4, 2.0), (5, 2.5) })
            Write(iteration, new CheckpointScore(rule, value), rule);

        Assert.Equal(stay.Reverse().Select(i => (long)i), Checkpoints.List(_runFolder).Select(checkpoint => checkpoint.Iteration));
        Assert.Equal(stay[0], Assert.Single(Checkpoints.List(_runFolder), checkpoint => checkpoint.IsBest).Iteration);
    }

    [Fact]
    public void The_best_is_passed_over_and_goes()
    {
        var rule = new BestRule("eval/loss", BestIs.Lower);
        foreach (var (iteration, value) in new[] { (1, 1.0), (2, 5.0), (3, 5.0), (4, 0.5), (5, 6.0) })
            Write(iteration, new CheckpointScore(rule, value), rule);

        // Of equals the newest would be kept; the one of iteration 1 gave its place to that of 4.
        Assert.Equal([5L, 4], Checkpoints.List(_runFolder).Select(checkpoint => checkpoint.Iteration));
        Write(6, new CheckpointScore(rule, 0.5), rule);
        Write(7, new CheckpointScore(rule, 0.6), rule);
        Write(8, null, rule);
        Assert.Equal([8L, 7, 6], Checkpoints.List(_runFolder).Select(checkpoint => checkpoint.Iteration));
    }

    [Fact]
    public void Values_of_another_metric_do_not_count()
    {
        var (loss, reward) = (new BestRule("eval/loss", BestIs.Lower), new BestRule("eval/reward", BestIs.Higher));
        Write(1, new CheckpointScore(loss, 0), loss);
        foreach (var iteration in new[] { 2, 3, 4, 5 })
            Write(iteration, new CheckpointScore(reward, -iteration), reward);

        Assert.Equal([5L, 4, 2], Checkpoints.List(_runFolder).Select(checkpoint => checkpoint.Iteration));
    }

    [Theory]
    [InlineData(BestIs.Lower)]
    [InlineData(BestIs.Higher)]
    public async Task A_run_keeps_the_best_by_a_metric_of_its_measurement(BestIs bestIs)
    {
        await using var run = new RunHarness(runFolder: _runFolder)
        {
            Plan = RunHarness.OfflinePlan with { EvaluateEvery = 1 },
            CheckpointEvery = 1,
            KeepCheckpoints = 1,
            KeepBest = new BestRule("eval/policy", bestIs),
        };

        await run.RunAsync();

        var values = run.Reports.Where(report => report.Purpose == BatchPurpose.Evaluate && report.Iteration > 0)
            .Select(report => (report.Iteration, Value: report.Metrics["eval/policy"])).ToArray();
        var best = bestIs == BestIs.Lower ? values.MinBy(value => value.Value) : values.MaxBy(value => value.Value);
        var kept = Assert.Single(Checkpoints.List(_runFolder), checkpoint => checkpoint.IsBest);
        Assert.Equal(best, (kept.Iteration, kept.Score!.Value));
        Assert.Equal(kept.Score, Checkpoints.Open(kept.Folder).State.Score);
        Assert.Equal(new[] { best.Iteration, 6L }.Distinct().Order(), Checkpoints.List(_runFolder).Select(checkpoint => checkpoint.Iteration).Order());
        Assert.DoesNotContain(run.Notes, note => note.Message.Contains("run.keep-best", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_run_says_once_that_there_is_no_such_metric_and_which_there_are()
    {
        await using var run = new RunHarness(runFolder: _runFolder)
        {
            Plan = RunHarness.OfflinePlan with { EvaluateEvery = 2 },
            CheckpointEvery = 2,
            KeepBest = new BestRule("eval/los", BestIs.Lower),
        };

        Assert.Equal(ExitCode.Ok, (await run.RunAsync()).ExitCode);

        var note = Assert.Single(run.Notes, note => note.Message.Contains("run.keep-best", StringComparison.Ordinal));
        Assert.Contains("'eval/los'", note.Message, StringComparison.Ordinal);
        Assert.Contains("eval/policy, ", note.Message, StringComparison.Ordinal);
        Assert.Contains("policy/weight", note.Message, StringComparison.Ordinal);
        Assert.All(Checkpoints.List(_runFolder), checkpoint => Assert.Null(checkpoint.Score));
    }

    [Fact]
    public void A_number_of_training_counts_where_there_is_none_of_a_measurement_and_no_number_never()
    {
        var watch = new ScoreWatch(new BestRule("loss", BestIs.Lower));
        void Take(long iteration, BatchPurpose purpose, double value) =>
            watch.Take(new IterationReport(iteration, purpose, new Dictionary<string, double> { ["loss"] = value }, []));

        Take(1, BatchPurpose.Train, 3);
        Assert.Equal(3, watch.Of(1)!.Value);
        Take(1, BatchPurpose.Evaluate, 2);
        Assert.Equal(2, watch.Of(1)!.Value);
        Take(2, BatchPurpose.Train, double.NaN);
        Assert.Null(watch.Of(2));
        Assert.Null(watch.Of(3));
    }

    [Fact]
    public void A_manifest_tells_ranks_and_strategy()
    {
        var images = new[] { "trainers.policy", "trainers.policy@1", "trainers.critic", "experience" }.ToDictionary(slot => slot, slot => new StateImage(slot));
        images["trainers.policy"].WriteJson("engine/engine", """{"Steps": 3, "Ranks": 2, "Sharding": "zero2"}""");
        var folder = CheckpointWriter.Write(_runFolder, new RunState(1, 1, default, images), keep: 1);

        var manifest = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "manifest.json")))!;

        Assert.Equal(2, (int)manifest["format"]!);
        Assert.Equal("""{"policy":{"ranks":2,"strategy":"zero2"},"critic":{"ranks":1,"strategy":null}}""", manifest["trainers"]!.ToJsonString());
        Assert.Equal(4, Checkpoints.Open(folder).State.Images.Count);
    }

    [Fact]
    public void A_manifest_of_the_first_format_is_read_and_one_of_a_later_format_refused()
    {
        var folder = Write(7, null, null);
        var path = Path.Combine(folder, "manifest.json");
        var manifest = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        manifest["format"] = 1;
        manifest.Remove("score");
        manifest.Remove("trainers");
        File.WriteAllText(path, manifest.ToJsonString());
        Assert.Equal(7, Checkpoints.Open(folder).Iteration);

        manifest["format"] = 3;
        File.WriteAllText(path, manifest.ToJsonString());
        Assert.Contains("format 3, this program reads 1 to 2", Assert.Throws<UserErrorException>(() => Checkpoints.Open(folder)).Message, StringComparison.Ordinal);
    }

    private string Write(long iteration, CheckpointScore? score, BestRule? best)
    {
        var image = new StateImage("trainers.policy");
        image.WriteTensor("weights", ElementType.UInt8, [1], [(byte)iteration]);
        var state = new RunState(iteration, 1, default, new Dictionary<string, StateImage> { [image.Role] = image }) { Score = score };
        return CheckpointWriter.Write(_runFolder, state, keep: 2, best);
    }
}
