using System.Text.Json.Nodes;
using static ColossalChat.Bench.BenchOutput;

namespace ColossalChat.Bench;

/// <summary>What <c>bench train</c> measured, as JSON.</summary>
/// <param name="Options">Of the benchmark.</param>
internal sealed record TrainBenchReport(TrainBenchOptions Options)
{
    /// <summary>Products alone, in bfloat16.</summary>
    public required GemmPeak.Rates BFloat16Peak { get; init; }

    /// <summary>Products alone, in float32.</summary>
    public required GemmPeak.Rates Float32Peak { get; init; }

    /// <summary>Products alone, in the engine's element type.</summary>
    public GemmPeak.Rates Peak => Options.Precision == "float32" ? Float32Peak : BFloat16Peak;

    /// <summary>Operations alone.</summary>
    public required IReadOnlyList<OperationTimes.Row> Operations { get; init; }

    /// <summary>Steps of the engine with one rank, made in turn with those below.</summary>
    public List<StepReport> Engine { get; } = [];

    /// <summary>Steps of the loop in float32.</summary>
    public List<StepReport> Eager { get; } = [];

    /// <summary>Steps of the loop in mixed precision.</summary>
    public List<StepReport> Mixed { get; } = [];

    /// <summary>An entry for each strategy.</summary>
    public JsonArray Strategies { get; } = [];

    /// <summary>One disturbed step on a busy machine must not decide.</summary>
    public static StepReport Median(IReadOnlyList<StepReport> steps) => steps.OrderBy(step => step.Total).ElementAt(steps.Count / 2);

    /// <summary>Rate of the model's matrices: backward multiplies twice what forward does.</summary>
    public static double GigaflopsPerSecond(TrainBenchOptions options, double stepSeconds) =>
        3e-9 * options.Sizes.FlopsPerToken * options.Batch * options.Tokens / stepSeconds;

    /// <summary>What a rank accounts for, and what its process held.</summary>
    public static JsonObject Memory(StepReport step) => new()
    {
        ["weights"] = step.Memory.Weights,
        ["gathered"] = step.Memory.Gathered,
        ["gradients"] = step.Memory.Gradients,
        ["states"] = step.Memory.States,
        ["on_disk"] = step.Memory.OnDisk,
        ["total"] = step.Memory.Total,
        ["rss_before_bytes"] = step.BytesBefore,
        ["peak_rss_bytes"] = step.PeakBytes,
    };

    /// <summary>The document.</summary>
    public JsonObject ToJson()
    {
        var (engine, eager, mixed, tokens) = (Median(Engine), Median(Eager), Median(Mixed), Options.Batch * Options.Tokens);
        var rate = GigaflopsPerSecond(Options, engine.Total);
        return new JsonObject
        {
            ["tokens_per_s"] = Round(tokens / engine.Total),
            ["baseline_tokens_per_s"] = Round(tokens / eager.Total),
            ["naive_bf16_tokens_per_s"] = Round(tokens / mixed.Total),
            ["speedup"] = Round(eager.Total / engine.Total),
            ["speedup_over_naive_bf16"] = Round(mixed.Total / engine.Total),
            ["gflops"] = Round(rate),
            ["gemm_share"] = Round(rate / Peak.GigaflopsPerSecond),
            ["gemm_peak_gflops"] = Round(Peak.GigaflopsPerSecond),
            ["gemm_peak_bf16_gflops"] = Round(BFloat16Peak.GigaflopsPerSecond),
            ["gemm_peak_fp32_gflops"] = Round(Float32Peak.GigaflopsPerSecond),
            ["gemm_ratio_bf16_fp32"] = Round(BFloat16Peak.GigaflopsPerSecond / Float32Peak.GigaflopsPerSecond),
            ["gemm_peak_rows"] = tokens,
            ["gemm_peak_by_matrix"] = Peak.ToJson(),
            ["operations"] = OperationTimes.ToJson(Operations),
            ["phases"] = new JsonObject
            {
                ["forward_s"] = Round(engine.Forward),
                ["backward_s"] = Round(engine.Backward),
                ["optimizer_s"] = Round(engine.Optimizer),
            },
            ["memory"] = Memory(Engine[^1]),
            ["theoretical_bytes"] = StrategyTeam.TheoreticalBytes("none", Options),
            ["peak_rss_bytes"] = Engine[^1].PeakBytes,
            ["baseline_peak_rss_bytes"] = Eager[^1].PeakBytes,
            ["naive_bf16_peak_rss_bytes"] = Mixed[^1].PeakBytes,
            ["loss"] = Round(Engine[^1].Loss),
            ["baseline_loss"] = Round(Eager[^1].Loss),
            ["naive_bf16_loss"] = Round(Mixed[^1].Loss),
            ["strategies"] = Strategies,
            ["precision"] = Options.Precision,
            ["batch"] = Options.Batch,
            ["tokens"] = Options.Tokens,
            ["steps"] = Options.Steps,
            ["warm_ups"] = Options.WarmUps,
            ["shape"] = Options.Sizes.ToJson(),
            ["machine"] = Machine(),
        };
    }
}
