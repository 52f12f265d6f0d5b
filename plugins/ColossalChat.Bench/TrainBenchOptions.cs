using ColossalChat.Contracts;

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

    /// <summary>Timed steps of each side, taken in turn. Default 7.</summary>
    [CliHelp("Timed steps of each side")]
    public int Steps { get; init; } = 7;

    /// <summary>
    /// Steps of each side before the timed ones. 1 or more; default 3: code is compiled again and the heap grows for several
    /// steps, and a training run has thousands.
    /// </summary>
    [CliHelp("Steps of each side before the timed ones")]
    public int WarmUps { get; init; } = 3;

    /// <summary>Element type of the engine's weights: float32 or bfloat16. Default bfloat16.</summary>
    [CliHelp("float32 or bfloat16")]
    public string Precision { get; init; } = "bfloat16";

    /// <summary>Sharding strategies to measure with <see cref="Ranks"/> processes each, by comma; empty for none of them. Default zero2.</summary>
    [CliHelp("Sharding strategies to measure besides, by comma, such as zero2,gemini; \"\" measures none of them")]
    public string Strategies { get; init; } = "zero2";

    /// <summary>Processes of each strategy; they share the cores and the sequences of a step. 1 or more; default 2.</summary>
    [CliHelp("Processes of each strategy; they share the cores and the sequences")]
    public int Ranks { get; init; } = 2;

    /// <summary>Seconds to measure each matrix for the peak rate, in every turn. Default 0.1.</summary>
    [CliHelp("Seconds to measure each matrix for the peak rate, in every turn")]
    public double PeakSeconds { get; init; } = 0.1;

    /// <summary>Device. Default cpu.</summary>
    [CliHelp("cpu or cuda:N")]
    public string Device { get; init; } = "cpu";

    /// <summary>One JSON document.</summary>
    [CliHelp("One JSON document")]
    public bool Json { get; init; }

    /// <summary>What this process is to do, such as naive-bf16 or rank:0. The benchmark starts its processes with it.</summary>
    [CliHelp("Used by the benchmark for the processes it starts: what this one is")]
    public string Part { get; init; } = "";

    /// <summary>Where the ranks meet. The benchmark starts its ranks with it.</summary>
    [CliHelp("Used by the benchmark for the processes it starts: where they meet")]
    public string Meet { get; init; } = "";

    /// <summary>Strategies one by one.</summary>
    internal IReadOnlyList<string> StrategyNames => Strategies.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>The model's sizes.</summary>
    internal DecoderSizes Sizes => new(Hidden, Layers, Heads, Heads, FeedForward, Vocabulary, Tokens);

    /// <summary>Everything wrong, one sentence each.</summary>
    internal IEnumerable<string> Problems()
    {
        foreach (var problem in Sizes.Problems())
            yield return problem;
        if (Batch < 1 || Tokens < 2 || Steps < 1 || WarmUps < 1)
            yield return $"batch is {Batch}, tokens {Tokens}, steps {Steps}, warm-ups {WarmUps}; they must be at least 1, 2, 1 and 1.";
        if (Precision is not ("float32" or "bfloat16"))
            yield return $"precision is {Precision}; it must be float32 or bfloat16.";
        if (StrategyNames.Count == 0)
            yield break;
        if (Ranks is < 1 or > 64)
            yield return $"ranks is {Ranks}; it must be from 1 to 64.";
        else if (Batch % Ranks != 0)
            yield return $"batch is {Batch} and ranks {Ranks}; each rank must get as many sequences, or --strategies \"\" measures no ranks.";
        if (Ranks > 1 && StrategyNames.Contains("none"))
            yield return $"strategies has none, which is for one rank, and ranks is {Ranks}; leave none out or set ranks to 1.";
    }
}
