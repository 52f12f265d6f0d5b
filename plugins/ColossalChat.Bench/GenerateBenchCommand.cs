using System.Diagnostics;
using System.Text.Json.Nodes;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static ColossalChat.Bench.BenchOutput;
using static TorchSharp.torch;

namespace ColossalChat.Bench;

/// <summary>Options of <c>bench generate</c>; the defaults are a LLaMA of 1.1 billion parameters.</summary>
public sealed record GenerateBenchOptions
{
    /// <summary>Hidden size. Default 2048.</summary>
    [CliHelp("Hidden size")]
    public int Hidden { get; init; } = 2048;

    /// <summary>Blocks. Default 22.</summary>
    [CliHelp("Blocks")]
    public int Layers { get; init; } = 22;

    /// <summary>Query heads. Default 32.</summary>
    [CliHelp("Query heads")]
    public int Heads { get; init; } = 32;

    /// <summary>Key-value heads. Default 4.</summary>
    [CliHelp("Key-value heads")]
    public int KeyValueHeads { get; init; } = 4;

    /// <summary>Width of the feed-forward layer. Default 5632.</summary>
    [CliHelp("Width of the feed-forward layer")]
    public int FeedForward { get; init; } = 5632;

    /// <summary>Vocabulary. Default 32000.</summary>
    [CliHelp("Vocabulary")]
    public int Vocabulary { get; init; } = 32000;

    /// <summary>Element type: float32, bfloat16 or float16. Default bfloat16.</summary>
    [CliHelp("float32, bfloat16 or float16")]
    public string Precision { get; init; } = "bfloat16";

    /// <summary>Sequences written at one time. Default 32.</summary>
    [CliHelp("Sequences written at one time")]
    public int Sequences { get; init; } = 32;

    /// <summary>Tokens of each prompt. Default 32.</summary>
    [CliHelp("Tokens of each prompt")]
    public int PromptTokens { get; init; } = 32;

    /// <summary>Tokens written for each prompt. At least 2; default 64.</summary>
    [CliHelp("Tokens written for each prompt")]
    public int NewTokens { get; init; } = 64;

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
    internal DecoderSizes Sizes => new(Hidden, Layers, Heads, KeyValueHeads, FeedForward, Vocabulary, PromptTokens + NewTokens);

    /// <summary>Everything wrong, one sentence each.</summary>
    internal IEnumerable<string> Problems()
    {
        foreach (var problem in Sizes.Problems())
            yield return problem;
        if (Sequences < 1 || PromptTokens < 2 || NewTokens < 2)
            yield return $"sequences is {Sequences}, prompt-tokens {PromptTokens}, new-tokens {NewTokens}; they must be at least 1, 2 and 2.";
        if (BenchOutput.Precision(Precision) is null)
            yield return $"precision is {Precision}; it must be float32, bfloat16 or float16.";
    }
}

/// <summary>
/// Batched generation with random weights, and the rate of the model's own matrix products measured before and after in
/// the same process.
/// </summary>
internal sealed class GenerateBenchCommand : CliCommand<GenerateBenchOptions>
{
    /// <inheritdoc/>
    public override string Path => "bench generate";

    /// <inheritdoc/>
    public override string Summary => "Speed of batched generation against the machine's matrix products";

    /// <inheritdoc/>
    protected override Task<ExitCode> RunAsync(GenerateBenchOptions options, CliContext context, CancellationToken cancel)
    {
        Check(options.Problems());
        using var lease = context.Node.Devices.Take(options.Device, cancel);
        Write(context, Measure(options, context, cancel), options.Json);
        return Task.FromResult(ExitCode.Ok);
    }

    private static JsonObject Measure(GenerateBenchOptions options, CliContext context, CancellationToken cancel)
    {
        var (sizes, precision, on) = (options.Sizes, BenchOutput.Precision(options.Precision)!.Value, device(options.Device));
        context.Error.WriteLine("building the model ...");
        using var model = new TimedModel(sizes.Build(context.Node, precision, on));
        var generator = context.Node.Resolve<ITextGeneratorFactory>("batched").Create(model, null);
        using var ownedGenerator = generator as IDisposable;
        generator.Generate(Requests(options, newTokens: 2), cancel);
        context.Error.WriteLine("measuring the matrix products ...");
        var before = GemmPeak.Measure(sizes, options.Sequences, precision, on, options.PeakSeconds);
        context.Error.WriteLine("generating ...");
        model.Reset();
        var whole = Time(() => generator.Generate(Requests(options, options.NewTokens), cancel));
        var (many, single, head, embed) = (model.ManySeconds, model.SingleSeconds, model.HeadSeconds, model.EmbedSeconds);
        var prefill = Time(() => generator.Generate(Requests(options, newTokens: 1), cancel));
        var after = GemmPeak.Measure(sizes, options.Sequences, precision, on, options.PeakSeconds);
        var linearShare = LinearShare(model, generator, options, cancel);
        var peak = Math.Max(before.GigaflopsPerSecond, after.GigaflopsPerSecond);

        // The steps after the first token: as many rows as the yardstick has, nothing but one token of each sequence.
        var decode = whole - prefill;
        var steps = options.NewTokens - 1;
        var decodeRate = sizes.FlopsPerToken * options.Sequences * steps * 1e-9 / decode;
        var report = new JsonObject
        {
            ["tokens_per_s"] = Round(options.Sequences * options.NewTokens / whole),
            ["gemm_share"] = Round(decodeRate / peak),
            ["gemm_gflops"] = Round(decodeRate),
            ["gemm_peak_gflops"] = Round(peak),
            ["gemm_peak_rows"] = options.Sequences,
            ["gemm_peak_by_matrix"] = (before.GigaflopsPerSecond >= after.GigaflopsPerSecond ? before : after).ToJson(),
            ["decode_tokens_per_s"] = Round(options.Sequences * steps / decode),
            ["phases"] = new JsonObject
            {
                ["total_s"] = Round(whole),
                ["prefill_s"] = Round(prefill),
                ["decode_s"] = Round(decode),
                ["prefill_blocks_s"] = Round(many),
                ["decode_blocks_s"] = Round(single),
                ["head_s"] = Round(head),
                ["sampling_and_rest_s"] = Round(whole - many - single - head - embed),
                ["block_linear_share"] = Round(linearShare),
                ["block_attention_and_rest_share"] = Round(1 - linearShare),
            },
            ["peak_rss_bytes"] = PeakMemory(),
            ["precision"] = options.Precision,
            ["sequences"] = options.Sequences,
            ["prompt_tokens"] = options.PromptTokens,
            ["new_tokens"] = options.NewTokens,
            ["shape"] = sizes.ToJson(),
            ["machine"] = Machine(),
        };
        return report;
    }

    /// <summary>
    /// Share of the blocks' decode time that is spent in their linear layers, from a short run of its own with a clock on
    /// each: the timed run above is left undisturbed.
    /// </summary>
    private static double LinearShare(TimedModel model, ITextGenerator generator, GenerateBenchOptions options, CancellationToken cancel)
    {
        using var linears = new TimedLinears(model);
        double Run(int newTokens)
        {
            var before = linears.Seconds;
            model.Reset();
            generator.Generate(Requests(options, newTokens), cancel);
            return linears.Seconds - before - model.HeadSeconds;
        }

        var first = Run(1);
        var linear = Run(Math.Min(options.NewTokens, 9)) - first;
        return Math.Clamp(linear / model.SingleSeconds, 0, 1);
    }

    private static GenerationRequest[] Requests(GenerateBenchOptions options, int newTokens) =>
    [
        .. Enumerable.Range(0, options.Sequences).Select(row =>
        {
            var key = new RandomKey(1, RandomPurpose.Data, Prompt: row);
            return new GenerationRequest
            {
                Prompt = Enumerable.Range(0, options.PromptTokens).Select(t => (int)(key.Bits(t) % (uint)options.Vocabulary)).ToArray(),
                MaxNewTokens = newTokens,
                Key = new RandomKey(1, RandomPurpose.Sampling, Prompt: row),
            };
        }),
    ];

    private static double Time(Action work)
    {
        var start = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
