using System.Text.Json.Nodes;
using static ColossalChat.Bench.BenchOutput;

namespace ColossalChat.Bench;

/// <summary>One turn of <c>bench train</c>. The machine's speed drifts, so only what was measured in one turn is compared.</summary>
/// <param name="Engine">A step of the engine with one rank.</param>
/// <param name="BFloat16Peak">Products alone, in bfloat16.</param>
/// <param name="Float32Peak">Products alone, in float32.</param>
/// <param name="Eager">A step of the loop in float32.</param>
/// <param name="Mixed">A step of the loop in mixed precision.</param>
internal sealed record TrainBenchTurn(StepReport Engine, GemmPeak.Rates BFloat16Peak, GemmPeak.Rates Float32Peak, StepReport Eager, StepReport Mixed);

/// <summary>What <c>bench train</c> measured, as JSON: medians over the turns, of ratios too.</summary>
/// <param name="Options">Of the benchmark.</param>
internal sealed record TrainBenchReport(TrainBenchOptions Options)
{
    /// <summary>In order; at least one.</summary>
    public List<TrainBenchTurn> Turns { get; } = [];

    /// <summary>Products alone, in the engine's element type.</summary>
    public GemmPeak.Rates Peak => MedianOf(Turns.Select(PeakOf), peak => peak.GigaflopsPerSecond);

    /// <summary>Operations alone.</summary>
    public required IReadOnlyList<OperationTimes.Row> Operations { get; init; }

    /// <summary>What the engine with one rank reaches of the products' own rate.</summary>
    public double GemmShare => MedianOf(Turns.Select(turn => GigaflopsPerSecond(Options, turn.Engine.Total) / PeakOf(turn).GigaflopsPerSecond));

    /// <summary>An entry for each strategy.</summary>
    public JsonArray Strategies { get; } = [];

    /// <summary>One disturbed step on a busy machine must not decide.</summary>
    public static StepReport Median(IEnumerable<StepReport> steps) => MedianOf(steps, step => step.Total);

    /// <summary>The middle one, or the mean of the middle two.</summary>
    public static double MedianOf(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>The middle one, the upper of two.</summary>
    public static T MedianOf<T>(IEnumerable<T> all, Func<T, double> by)
    {
        var sorted = all.OrderBy(by).ToArray();
        return sorted[sorted.Length / 2];
    }

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
        var (engine, eager, mixed) = (Median(Turns.Select(turn => turn.Engine)), Median(Turns.Select(turn => turn.Eager)), Median(Turns.Select(turn => turn.Mixed)));
        var (last, tokens, peak) = (Turns[^1], Options.Batch * Options.Tokens, Peak);
        return new JsonObject
        {
            ["tokens_per_s"] = Round(tokens / engine.Total),
            ["baseline_tokens_per_s"] = Round(tokens / eager.Total),
            ["naive_bf16_tokens_per_s"] = Round(tokens / mixed.Total),
            ["speedup"] = MedianOverTurns(turn => turn.Eager.Total / turn.Engine.Total),
            ["speedup_over_naive_bf16"] = MedianOverTurns(turn => turn.Mixed.Total / turn.Engine.Total),
            ["gflops"] = Round(GigaflopsPerSecond(Options, engine.Total)),
            ["gemm_share"] = Round(GemmShare),
            ["gemm_peak_gflops"] = Round(peak.GigaflopsPerSecond),
            ["gemm_peak_bf16_gflops"] = MedianOverTurns(turn => turn.BFloat16Peak.GigaflopsPerSecond),
            ["gemm_peak_fp32_gflops"] = MedianOverTurns(turn => turn.Float32Peak.GigaflopsPerSecond),
            ["gemm_ratio_bf16_fp32"] = MedianOverTurns(turn => turn.BFloat16Peak.GigaflopsPerSecond / turn.Float32Peak.GigaflopsPerSecond),
            ["gemm_peak_rows"] = tokens,
            ["gemm_peak_by_matrix"] = peak.ToJson(),
            ["operations"] = OperationTimes.ToJson(Operations),
            ["phases"] = new JsonObject
            {
                ["forward_s"] = Round(engine.Forward),
                ["backward_s"] = Round(engine.Backward),
                ["optimizer_s"] = Round(engine.Optimizer),
            },
            ["memory"] = Memory(last.Engine),
            ["theoretical_bytes"] = StrategyTeam.TheoreticalBytes("none", Options),
            ["peak_rss_bytes"] = last.Engine.PeakBytes,
            ["baseline_peak_rss_bytes"] = last.Eager.PeakBytes,
            ["naive_bf16_peak_rss_bytes"] = last.Mixed.PeakBytes,
            ["loss"] = Round(last.Engine.Loss),
            ["baseline_loss"] = Round(last.Eager.Loss),
            ["naive_bf16_loss"] = Round(last.Mixed.Loss),
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

    private GemmPeak.Rates PeakOf(TrainBenchTurn turn) => Options.Precision == "float32" ? turn.Float32Peak : turn.BFloat16Peak;

    private double? MedianOverTurns(Func<TrainBenchTurn, double> of) => Round(MedianOf(Turns.Select(of)));
}
