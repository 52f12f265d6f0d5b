using System.Diagnostics;
using System.Text.Json.Nodes;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static ColossalChat.Bench.BenchOutput;
using static TorchSharp.torch;

namespace ColossalChat.Bench;

/// <summary>Options of <c>bench train</c>; the defaults are a decoder of 98 million parameters.</summary>
public sealed record TrainBenchOptions
{
    /// <summary>Hidden size. Default 768.</summary>
    [CliHelp("Hidden size")]
    public int Hidden { get; init; } = 768;

    /// <summary>Blocks. Default 12.</summary>
    [CliHelp("Blocks")]
    public int Layers { get; init; } = 12;

    /// <summary>Heads. Default 12.</summary>
    [CliHelp("Heads")]
    public int Heads { get; init; } = 12;

    /// <summary>Width of the feed-forward layer. Default 2048.</summary>
    [CliHelp("Width of the feed-forward layer")]
    public int FeedForward { get; init; } = 2048;

    /// <summary>Vocabulary. Default 8192.</summary>
    [CliHelp("Vocabulary")]
    public int Vocabulary { get; init; } = 8192;

    /// <summary>Sequences of a step. Default 8.</summary>
    [CliHelp("Sequences of a step")]
    public int Batch { get; init; } = 8;

    /// <summary>Tokens of a sequence. At least 2; default 256.</summary>
    [CliHelp("Tokens of a sequence")]
    public int Tokens { get; init; } = 256;

    /// <summary>Timed steps of each side, taken in turn. Default 4.</summary>
    [CliHelp("Timed steps of each side")]
    public int Steps { get; init; } = 4;

    /// <summary>Element type of the model's weights: float32 or bfloat16; the baseline is float32. Default float32.</summary>
    [CliHelp("float32 or bfloat16")]
    public string Precision { get; init; } = "float32";

    /// <summary>Seconds to measure each matrix for the peak rate. Default 0.5.</summary>
    [CliHelp("Seconds to measure each matrix for the peak rate")]
    public double PeakSeconds { get; init; } = 0.5;

    /// <summary>Device. Default cpu.</summary>
    [CliHelp("cpu or cuda:N")]
    public string Device { get; init; } = "cpu";

    /// <summary>One JSON document.</summary>
    [CliHelp("One JSON document")]
    public bool Json { get; init; }

    /// <summary>The model's sizes.</summary>
    internal DecoderSizes Sizes => new(Hidden, Layers, Heads, Heads, FeedForward, Vocabulary, Tokens);

    /// <summary>Everything wrong, one sentence each.</summary>
    internal IEnumerable<string> Problems()
    {
        foreach (var problem in Sizes.Problems())
            yield return problem;
        if (Batch < 1 || Tokens < 2 || Steps < 1)
            yield return $"batch is {Batch}, tokens {Tokens}, steps {Steps}; they must be at least 1, 2 and 1.";
        if (Precision is not ("float32" or "bfloat16"))
            yield return $"precision is {Precision}; it must be float32 or bfloat16.";
    }
}

/// <summary>Training through the engine against a plain loop written by the book, step by step in turn.</summary>
internal sealed class TrainBenchCommand : CliCommand<TrainBenchOptions>
{
    private const double LearningRate = 3e-4;

    /// <inheritdoc/>
    public override string Path => "bench train";

    /// <inheritdoc/>
    public override string Summary => "Speed of training through the engine against a plain TorchSharp loop";

    /// <inheritdoc/>
    protected override Task<ExitCode> RunAsync(TrainBenchOptions options, CliContext context, CancellationToken cancel)
    {
        Check(options.Problems());
        using var lease = context.Node.Devices.Take(options.Device, cancel);
        Write(context, Measure(options, context, cancel), options.Json);
        return Task.FromResult(ExitCode.Ok);
    }

    private static JsonObject Measure(TrainBenchOptions options, CliContext context, CancellationToken cancel)
    {
        var (sizes, precision, on) = (options.Sizes, BenchOutput.Precision(options.Precision)!.Value, device(options.Device));
        var tokens = options.Batch * options.Tokens;
        context.Error.WriteLine("measuring the matrix products ...");
        var peak = GemmPeak.Measure(sizes, tokens, precision, on, options.PeakSeconds);
        context.Error.WriteLine("measuring every operation alone ...");
        var operations = OperationTimes.Measure(sizes, options.Batch, options.Tokens, precision, on);
        using var batch = NewBatch(options, on);
        using var baseline = new EagerBaseline(sizes, on, LearningRate);
        using var ours = new EngineSide(sizes, precision, on, context.Node);
        var (baselineSeconds, oursSeconds) = (new List<double>(), new List<EngineSide.Phases>());
        for (var step = 0; step <= options.Steps; step++)
        {
            cancel.ThrowIfCancellationRequested();
            context.Error.WriteLine(step == 0 ? "warming up ..." : $"step {step} of {options.Steps}");
            var phases = ours.Step(batch, LearningRate, cancel);
            var start = Stopwatch.GetTimestamp();
            baseline.Step(batch.TokenIds);
            var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (step == 0)
                continue;
            oursSeconds.Add(phases);
            baselineSeconds.Add(seconds);
        }

        // Medians: one disturbed step on a busy machine must not decide.
        var ourStep = oursSeconds.OrderBy(phases => phases.Total).ElementAt(oursSeconds.Count / 2);
        var baselineStep = baselineSeconds.Order().ElementAt(baselineSeconds.Count / 2);
        // Backward multiplies twice what forward does.
        var rate = 3 * sizes.FlopsPerToken * tokens * 1e-9 / ourStep.Total;
        return new JsonObject
        {
            ["tokens_per_s"] = Round(tokens / ourStep.Total),
            ["baseline_tokens_per_s"] = Round(tokens / baselineStep),
            ["speedup"] = Round(baselineStep / ourStep.Total),
            ["gflops"] = Round(rate),
            ["gemm_share"] = Round(rate / peak.GigaflopsPerSecond),
            ["gemm_peak_gflops"] = Round(peak.GigaflopsPerSecond),
            ["gemm_peak_rows"] = tokens,
            ["gemm_peak_by_matrix"] = peak.ToJson(),
            ["operations"] = OperationTimes.ToJson(operations),
            ["phases"] = new JsonObject
            {
                ["forward_s"] = Round(ourStep.Forward),
                ["backward_s"] = Round(ourStep.Backward),
                ["optimizer_s"] = Round(ourStep.Optimizer),
            },
            ["peak_rss_bytes"] = PeakMemory(),
            ["loss"] = Round(ours.LastLoss),
            ["baseline_loss"] = Round(baseline.LastLoss),
            ["precision"] = options.Precision,
            ["batch"] = options.Batch,
            ["tokens"] = options.Tokens,
            ["steps"] = options.Steps,
            ["shape"] = sizes.ToJson(),
            ["machine"] = Machine(),
        };
    }

    private static MicroBatch NewBatch(TrainBenchOptions options, Device on)
    {
        var rows = Enumerable.Range(0, options.Batch).Select(row =>
        {
            var key = new RandomKey(1, RandomPurpose.Data, Prompt: row);
            return Enumerable.Range(0, options.Tokens).Select(t => (int)(key.Bits(t) % (uint)options.Vocabulary)).ToArray();
        }).ToArray();
        var experience = new Experience(
            Ragged.FromRows(rows),
            Ragged.FromRows(rows.Select(row => row.Select((_, t) => t > 0).ToArray())),
            new Dictionary<string, Ragged<float>>());
        return MicroBatches.Build(experience, new MicroBatchCut { Tokens = int.MaxValue }, on).Single();
    }
}
