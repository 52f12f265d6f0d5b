using System.Text.Json.Nodes;
using ColossalChat.Bench;
using ColossalChat.Contracts;
using ColossalChat.Engine;
using ColossalChat.Models;
using ColossalChat.PluginKit;
using ColossalChat.Zero;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Bench;

[Trait("Category", "CI")]
public sealed class BenchTests : PluginConformance
{
    [Fact]
    public async Task Generate_reports_its_keys_and_shares_that_fit_When_run_small()
    {
        var report = await Run(new GenerateBenchCommand(), new GenerateBenchOptions
        {
            Hidden = 64, Layers = 2, Heads = 4, KeyValueHeads = 2, FeedForward = 96, Vocabulary = 128,
            Precision = "float32", Sequences = 3, PromptTokens = 5, NewTokens = 6, PeakSeconds = 0.01, Json = true,
        });

        foreach (var key in (string[])["tokens_per_s", "gemm_share", "gemm_gflops", "gemm_peak_gflops", "peak_rss_bytes"])
            Assert.True((double)report[key]! > 0, key);
        Assert.Equal((double)report["gemm_gflops"]! / (double)report["gemm_peak_gflops"]!, (double)report["gemm_share"]!, tolerance: 0.005);
        var phases = report["phases"]!;
        Assert.Equal((double)phases["total_s"]!, (double)phases["prefill_s"]! + (double)phases["decode_s"]!, tolerance: 0.005);
        Assert.Equal(1, (double)phases["block_linear_share"]! + (double)phases["block_attention_and_rest_share"]!, 3);
        Assert.Equal(8, report["gemm_peak_by_matrix"]!.AsObject().Count);
    }

    [Fact]
    public async Task Train_reports_its_keys_and_both_sides_learn_the_same_task_When_run_small()
    {
        var report = await Run(new TrainBenchCommand(), new TrainBenchOptions
        {
            Hidden = 32, Layers = 2, Heads = 2, FeedForward = 48, Vocabulary = 64, Batch = 2, Tokens = 12, Steps = 2, PeakSeconds = 0.01, Json = true,
        });

        foreach (var key in (string[])["tokens_per_s", "baseline_tokens_per_s", "speedup", "gflops", "gemm_peak_gflops", "gemm_share", "peak_rss_bytes"])
            Assert.True((double)report[key]! > 0, key);
        // Random tokens of 64 kinds: both begin near ln 64.
        Assert.InRange((double)report["loss"]!, 3.5, 4.4);
        Assert.InRange((double)report["baseline_loss"]!, 3.5, 4.4);
    }

    [Fact]
    public async Task Every_wrong_value_is_named_When_sizes_do_not_fit()
    {
        var error = await Assert.ThrowsAsync<UserErrorException>(() => Run(
            new GenerateBenchCommand(), new GenerateBenchOptions { Hidden = 65, Heads = 4, KeyValueHeads = 4, Precision = "int3", NewTokens = 1 }));

        Assert.Equal(ExitCode.Usage, error.ExitCode);
        foreach (var part in (string[])["hidden is 65", "precision is int3", "new-tokens 1"])
            Assert.Contains(part, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Work_of_one_token_is_twice_the_matrices_When_counted()
    {
        // TinyLlama 1.1 B: 22 x (2048 x 2048 x 2 + 2048 x 256 x 2 + 3 x 2048 x 5632) + 32000 x 2048.
        var sizes = new GenerateBenchOptions().Sizes;

        Assert.Equal(2.0 * ((22L * ((2L * 2048 * 2048) + (2 * 2048 * 256) + (3L * 2048 * 5632))) + (32000L * 2048)), sizes.FlopsPerToken);
        Assert.Equal(1_100_048_384, (long)sizes.ToJson()["parameters"]!);
    }

    [Fact]
    public void The_baseline_begins_with_the_same_weights_whatever_was_drawn_before()
    {
        var sizes = new DecoderSizes(32, 2, 2, 2, 48, 64, 64);
        using var tokens = tensor(new long[] { 1, 5, 9, 2, 7, 30 }, [1, 6]);
        double Loss()
        {
            using var baseline = new EagerBaseline(sizes, CPU, 1e-3);
            baseline.Step(tokens);
            return baseline.LastLoss;
        }

        Assert.Equal(Loss(), Loss());
    }

    protected override IPlugin CreatePlugin() => new BenchPlugin();

    private static async Task<JsonObject> Run(ICliCommand command, object options)
    {
        var node = new TestNode().With(new ModelsPlugin()).With(new EnginePlugin()).With(new ZeroPlugin()).With(new BenchPlugin());
        using var output = new StringWriter();
        var exit = await command.RunAsync(options, new CliContext(node, output, TextWriter.Null, null!), CancellationToken.None);
        Assert.Equal(ExitCode.Ok, exit);
        Assert.Equal(1, node.Leases.Taken);
        return JsonNode.Parse(output.ToString())!.AsObject();
    }
}
