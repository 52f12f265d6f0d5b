using System.Text.Json;
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
            Precision = "float32", Sequences = 3, PromptTokens = 5, NewTokens = 40, PeakSeconds = 0.01, Json = true,
        });

        foreach (var key in (string[])["tokens_per_s", "gemm_share", "gemm_gflops", "gemm_peak_gflops", "peak_rss_bytes"])
            Assert.True((double)report[key]! > 0, key);
        Assert.Equal((double)report["gemm_gflops"]! / (double)report["gemm_peak_gflops"]!, (double)report["gemm_share"]!, tolerance: 0.005);
        var phases = report["phases"]!;
        Assert.Equal((double)phases["total_s"]!, (double)phases["prefill_s"]! + (double)phases["decode_s"]!, tolerance: 0.005);
        Assert.Equal(1, (double)phases["block_linear_share"]! + (double)phases["block_attention_and_rest_share"]!, 3);
        Assert.Equal(8, report["gemm_peak_by_matrix"]!.AsObject().Count);
    }

    [Theory]
    [InlineData("bfloat16", 12, 16)]
    [InlineData("float32", 8, 16)]
    public async Task Train_reports_its_keys_and_all_sides_learn_the_same_task_When_run_small(string precision, int stateBytes, int bytes)
    {
        var node = NewNode();
        var report = await Run(new TrainBenchCommand(task => new SideInThisProcess(task, node)), new TrainBenchOptions
        {
            Hidden = 32, Layers = 2, Heads = 2, FeedForward = 48, Vocabulary = 64, Batch = 2, Tokens = 12, Steps = 2, WarmUps = 1, PeakSeconds = 0.01,
            Precision = precision, Strategies = "none, zero2", Ranks = 1, Json = true,
        }, node);

        foreach (var key in (string[])
        [
            "tokens_per_s", "baseline_tokens_per_s", "naive_bf16_tokens_per_s", "speedup", "speedup_over_naive_bf16", "gflops",
            "gemm_peak_gflops", "gemm_peak_bf16_gflops", "gemm_peak_fp32_gflops", "gemm_ratio_bf16_fp32", "gemm_share", "peak_rss_bytes",
        ])
            Assert.True((double)report[key]! > 0, key);
        // Random tokens of 64 kinds: all begin near ln 64.
        foreach (var key in (string[])["loss", "baseline_loss", "naive_bf16_loss"])
            Assert.InRange((double)report[key]!, 3.5, 4.4);
        var parameters = (long)report["shape"]!["parameters"]!;
        Assert.Equal(["none", "zero2"], report["strategies"]!.AsArray().Select(entry => (string)entry!["strategy"]!));
        foreach (var entry in report["strategies"]!.AsArray())
        {
            var memory = entry!["memory_by_rank"]!.AsArray().Single()!;
            Assert.Equal(stateBytes * parameters, (long)memory["states"]!);
            Assert.Equal((bytes + (precision == "float32" ? 0 : 2)) * parameters, (long)memory["total"]!);
            Assert.Equal((long)memory["total"]!, (long)entry["theoretical_bytes"]!);
            Assert.True((double)entry["tokens_per_s"]! > 0);
        }
    }

    [Fact]
    public void Times_of_a_strategy_are_those_of_the_slowest_rank_of_the_median_step()
    {
        var report = new TrainBenchReport(new TrainBenchOptions()) { Operations = [] };
        report.Turns.Add(Turn(1, bfloat16: 50, float32: 20, eager: 1, mixed: 1));
        StepReport Rank(double total, double communication, double exposed) => new(total, 1) { Communication = communication, Exposed = exposed };

        // The faster rank of the middle step waited longer for the slower one.
        var entry = StrategyTeam.ToJson(
            report, "zero2", [[Rank(9, 8, 8), Rank(9.5, 8, 8)], [Rank(3, 1.5, 1.25), Rank(4, 0.75, 0.25)], [Rank(1, 0.5, 0.5), Rank(1, 0.5, 0.5)]],
            [new StepReport(7.6, 1), new StepReport(2, 1), new StepReport(2.5, 1)]);

        Assert.Equal((0.75, 0.25, 0.5), ((double)entry["communication_s"]!, (double)entry["exposed_s"]!, (double)entry["overlapped_s"]!));
        // The middle of 7.6 / 9.5, 2 / 4 and 2.5 / 1: steps made in one turn.
        Assert.Equal(0.8, (double)entry["of_one_rank"]!);
        Assert.Equal(BenchOutput.Round(0.8 * TrainBenchReport.GigaflopsPerSecond(report.Options, 1) / 50), (double)entry["gemm_share"]!);
    }

    [Fact]
    public void Only_what_one_turn_measured_is_compared()
    {
        var report = new TrainBenchReport(new TrainBenchOptions()) { Operations = [] };
        var rate = TrainBenchReport.GigaflopsPerSecond(report.Options, 1);

        // A machine at full speed, at half, and at full speed but for the engine's step.
        report.Turns.Add(Turn(engine: 1, bfloat16: rate * 1.25, float32: rate / 2, eager: 2.5, mixed: 1.5));
        report.Turns.Add(Turn(engine: 2, bfloat16: rate * 0.625, float32: rate / 4, eager: 5, mixed: 3));
        report.Turns.Add(Turn(engine: 4, bfloat16: rate * 1.25, float32: rate / 2, eager: 2.5, mixed: 1.5));

        var document = report.ToJson();
        Assert.Equal(
            (2.5, 1.5, 0.8, 2.5),
            ((double)document["speedup"]!, (double)document["speedup_over_naive_bf16"]!, (double)document["gemm_share"]!, (double)document["gemm_ratio_bf16_fp32"]!));
        Assert.Equal(BenchOutput.Round(rate * 1.25), (double)document["gemm_peak_bf16_gflops"]!);
    }

    [Fact]
    public void A_plain_benchmark_measures_zero2_with_two_ranks_and_its_plain_loops_none()
    {
        var options = new TrainBenchOptions();

        Assert.Equal(["zero2"], options.StrategyNames);
        Assert.Equal(2, options.Ranks);
        Assert.Empty(options.Problems());
        Assert.Empty((options with { Batch = 1, Strategies = "" }).Problems());

        // A loop's process must not ask of one sequence that ranks share it.
        Assert.Equal("", TrainBenchTask.Plain(options, EagerLoop.Name).Arguments.SkipWhile(word => word != "--strategies").ElementAt(1));
    }

    private static TrainBenchTurn Turn(double engine, double bfloat16, double float32, double eager, double mixed)
    {
        static GemmPeak.Rates Rates(double gigaflops) => new(gigaflops, new Dictionary<string, double>());
        return new TrainBenchTurn(new StepReport(engine, 1), Rates(bfloat16), Rates(float32), new StepReport(eager, 1), new StepReport(mixed, 1));
    }

    [Theory]
    [InlineData("zero1", 2 + 4 + (12 / 4))]
    [InlineData("zero2", 2 + (16 / 4))]
    [InlineData("ddp", 18)]
    public void Theory_divides_what_a_strategy_shares_out(string strategy, int bytesOfParameter)
    {
        var options = new TrainBenchOptions { Batch = 8, Ranks = 4 };

        Assert.Equal(bytesOfParameter * options.Sizes.Parameters, StrategyTeam.TheoreticalBytes(strategy, options));
    }

    [Fact]
    public void Only_the_loops_run_as_plain_programs_and_the_engine_keeps_what_the_host_tunes()
    {
        var options = new TrainBenchOptions();

        Assert.True(TrainBenchTask.Plain(options, MixedLoop.Name).IsPlain);
        Assert.False(TrainBenchTask.Engine(options).IsPlain);
        Assert.Contains(EngineSide.Name, TrainBenchTask.Engine(options).Arguments);
        Assert.DoesNotContain("--meet", TrainBenchTask.Engine(options).Arguments);
        Assert.Contains("--meet", TrainBenchTask.Rank(options, "zero2", 0, "dir:there").Arguments);
    }

    [Theory]
    [InlineData(double.NaN, null)]
    [InlineData(double.PositiveInfinity, null)]
    [InlineData(0.0, 0.0)]
    [InlineData(1.23456789, 1.235)]
    [InlineData(-0.0123456789, -0.01235)]
    public void A_number_is_written_with_four_digits_and_as_null_When_it_is_not_finite(double value, double? written) =>
        Assert.Equal(written, BenchOutput.Round(value));

    [Theory]
    [InlineData(2.25)]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void A_served_step_is_read_as_it_was_written(double loss)
    {
        var report = new StepReport(0.5, loss) { Forward = 0.125, Exposed = 0.25, Memory = new StepMemory(1, 2, 3, 4, 5), PeakBytes = 7 };
        using var output = new StringWriter();

        StepServer.Serve(() => report, new StringReader("step\nstep\n"), output, CancellationToken.None);

        var lines = output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, lines.Length);
        Assert.Equal(report, JsonSerializer.Deserialize<StepReport>(lines[1]));
        Assert.Throws<UserErrorException>(() => StepServer.Serve(() => report, new StringReader("stop\n"), output, CancellationToken.None));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Train_gives_every_side_the_same_steps_before_the_timed_ones(int warmUps)
    {
        var sides = new Dictionary<string, CountedSide>();
        var report = await Run(new TrainBenchCommand(task => sides[task.Options.Part] = new CountedSide()), new TrainBenchOptions
        {
            Hidden = 32, Layers = 1, Heads = 2, FeedForward = 48, Vocabulary = 64, Batch = 2, Tokens = 4, Steps = 2, WarmUps = warmUps,
            PeakSeconds = 0.001, Strategies = "zero2", Ranks = 2, Json = true,
        });

        Assert.Equal(warmUps, (int)report["warm_ups"]!);
        foreach (var part in (string[])[EagerLoop.Name, MixedLoop.Name, "rank:0", "rank:1"])
            Assert.Equal(warmUps + 2, sides[part].Steps);
        // Once beside the loops, once beside the ranks.
        Assert.Equal(2 * (warmUps + 2), sides[EngineSide.Name].Steps);
        Assert.Equal(CountedSide.PeakBytes, (long)report["peak_rss_bytes"]!);
        // A loss that is not a number must not look like a perfect one.
        Assert.Null(report["baseline_loss"]);
    }

    [Fact]
    public async Task Ranks_that_cannot_share_a_step_are_refused()
    {
        var error = await Assert.ThrowsAsync<UserErrorException>(() => Run(new TrainBenchCommand(), new TrainBenchOptions { Batch = 3, Ranks = 2, Strategies = "none" }));

        foreach (var part in (string[])["batch is 3 and ranks 2", "strategies has none"])
            Assert.Contains(part, error.Message, StringComparison.Ordinal);
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

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_plain_loop_begins_with_the_same_weights_whatever_was_drawn_before_and_learns(bool isMixed)
    {
        var sizes = new DecoderSizes(32, 2, 2, 2, 48, 64, 64);
        using var tokens = tensor(new long[] { 1, 5, 9, 2, 7, 30 }, [1, 6]);
        double[] Losses()
        {
            using PlainLoop loop = isMixed ? new MixedLoop(sizes, CPU, 1e-2) : new EagerLoop(sizes, CPU, 1e-2);
            return [.. Enumerable.Range(0, 12).Select(_ => loop.Step(tokens))];
        }

        var losses = Losses();
        Assert.Equal(losses, Losses());
        Assert.True(losses[^1] < 0.7 * losses[0], $"{losses[0]} to {losses[^1]}");
    }

    [Fact]
    public void A_plain_decoder_trains_every_parameter()
    {
        using var scope = NewDisposeScope();
        var decoder = PlainDecoder.New(new DecoderSizes(32, 2, 2, 2, 48, 64, 64), CPU, float32);

        decoder.forward(tensor(new long[] { 1, 5 }, [1, 2])).square().sum().backward();

        Assert.Equal((2 * 9) + 3, decoder.named_parameters().Count());
        Assert.All(decoder.named_parameters(), named => Assert.True(named.parameter.grad is not null, named.name));
    }

    [Fact]
    public void A_plain_decoder_computes_in_the_type_it_was_asked_for()
    {
        using var scope = NewDisposeScope();
        var decoder = PlainDecoder.New(new DecoderSizes(32, 2, 2, 2, 48, 64, 64), CPU, bfloat16);

        Assert.Equal(bfloat16, decoder.forward(tensor(new long[] { 1, 5 }, [1, 2])).dtype);
        Assert.All(decoder.parameters(), parameter => Assert.Equal(bfloat16, parameter.dtype));
    }

    protected override IPlugin CreatePlugin() => new BenchPlugin();

    private static TestNode NewNode() =>
        new TestNode().With(new ModelsPlugin()).With(new EnginePlugin()).With(new ZeroPlugin()).With(new BenchPlugin());

    private static async Task<JsonObject> Run(ICliCommand command, object options, TestNode? node = null)
    {
        node ??= NewNode();
        using var output = new StringWriter();
        var exit = await command.RunAsync(options, new CliContext(node, output, TextWriter.Null, null!), CancellationToken.None);
        Assert.Equal(ExitCode.Ok, exit);
        Assert.Equal(1, node.Leases.Taken);
        return JsonNode.Parse(output.ToString())!.AsObject();
    }

    private sealed class CountedSide : ISteppedProgram
    {
        public const long PeakBytes = 12345;

        public int Steps { get; private set; }

        public void Begin() => Steps++;

        public StepReport End() => new(1, double.NaN) { PeakBytes = PeakBytes };

        public void Dispose()
        {
            // There is nothing behind it.
        }
    }

    // A test has no program of its own to start.
    private sealed class SideInThisProcess : ISteppedProgram
    {
        private readonly Func<StepReport> _step;
        private readonly IDisposable _owner;

        public SideInThisProcess(TrainBenchTask task, INodeContext node) => (_step, _owner) = task.Open(node, CancellationToken.None);

        public void Begin()
        {
            // The step is made when it is waited for.
        }

        public StepReport End() => _step();

        public void Dispose() => _owner.Dispose();
    }
}
