using System.Text.Json.Nodes;
using static ColossalChat.Bench.BenchOutput;

namespace ColossalChat.Bench;

/// <summary>The ranks of one sharding strategy, each a process, that train in turn with the engine alone.</summary>
internal sealed class StrategyTeam : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("colossalchat-ranks-").FullName;
    private readonly List<ISteppedProgram> _ranks = [];

    /// <summary>Starts the ranks.</summary>
    public StrategyTeam(TrainBenchOptions options, string strategy, Func<TrainBenchTask, ISteppedProgram> start)
    {
        for (var rank = 0; rank < options.Ranks; rank++)
            _ranks.Add(start(TrainBenchTask.Rank(options, strategy, rank, $"dir:{_folder}")));
    }

    /// <summary>One step of all ranks.</summary>
    /// <returns>By rank.</returns>
    public IReadOnlyList<StepReport> Step()
    {
        foreach (var rank in _ranks)
            rank.Begin();
        return [.. _ranks.Select(rank => rank.End())];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var rank in _ranks)
            rank.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>What a strategy's steps say.</summary>
    /// <param name="report">Of the benchmark, with the engine's share of peak: the ranks together have the cores that it was measured with.</param>
    /// <param name="strategy">Which.</param>
    /// <param name="steps">By step, then by rank.</param>
    /// <param name="alone">Steps of one rank with all threads, made in turn with these.</param>
    public static JsonObject ToJson(TrainBenchReport report, string strategy, IReadOnlyList<IReadOnlyList<StepReport>> steps, IReadOnlyList<StepReport> alone)
    {
        // A step takes as long as its slowest rank; all its times are of that rank, since parts of different ranks have no sum.
        var (options, slowest) = (report.Options, TrainBenchReport.Median([.. steps.Select(ranks => ranks.MaxBy(rank => rank.Total)!)]));
        var (seconds, rate) = (slowest.Total, TrainBenchReport.GigaflopsPerSecond(options, slowest.Total));
        var ofOneRank = TrainBenchReport.MedianOf(alone.Zip(steps, (one, ranks) => one.Total / ranks.Max(rank => rank.Total)));
        return new JsonObject
        {
            ["strategy"] = strategy,
            ["ranks"] = options.Ranks,
            ["tokens_per_s"] = Round(options.Batch * options.Tokens / seconds),
            ["one_rank_tokens_per_s"] = Round(options.Batch * options.Tokens / TrainBenchReport.Median(alone).Total),
            ["of_one_rank"] = Round(ofOneRank),
            ["gflops"] = Round(rate),
            ["gemm_share"] = Round(report.GemmShare * ofOneRank),
            ["loss"] = Round(steps[^1][0].Loss),
            ["communication_s"] = Round(slowest.Communication),
            ["exposed_s"] = Round(slowest.Exposed),
            ["overlapped_s"] = Round(slowest.Communication - slowest.Exposed),
            ["theoretical_bytes"] = TheoreticalBytes(strategy, options),
            ["memory_by_rank"] = new JsonArray([.. steps[^1].Select(rank => (JsonNode)TrainBenchReport.Memory(rank))]),
        };
    }

    /// <summary>
    /// Bytes of a rank as the papers count them, without padding and what is on its way: working weights, gradient sums in
    /// float32, master weights and two moments in float32, each divided by the ranks where the strategy shares it out.
    /// </summary>
    public static long TheoreticalBytes(string strategy, TrainBenchOptions options)
    {
        var (parameters, isFloat) = ((double)options.Sizes.Parameters, options.Precision == "float32");
        double Shared(bool isShared) => isShared ? parameters / options.Ranks : parameters;
        var level = strategy switch { "zero1" => 1, "zero2" => 2, "zero3" or "gemini" => 3, _ => 0 };
        var (weights, states) = isFloat ? (4, 8) : (2, 12);
        return (long)((weights * Shared(level >= 3)) + (sizeof(float) * Shared(level >= 2)) + (states * Shared(level >= 1)));
    }
}
