using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static ColossalChat.Bench.BenchOutput;
using static TorchSharp.torch;

namespace ColossalChat.Bench;

/// <summary>Options of <c>bench collective</c>; the defaults are what issue 3 names.</summary>
public sealed record CollectiveBenchOptions
{
    /// <summary>Bytes of the float32 buffer; divisible by 4. Default 64 MiB.</summary>
    [CliHelp("Bytes of the float32 buffer")]
    public long Bytes { get; init; } = 64L << 20;

    /// <summary>Processes, one measurement for each number; 2 or more. Default 2 and 4.</summary>
    [CliHelp("Processes, one measurement for each number")]
    public int[] Ranks { get; init; } = [2, 4];

    /// <summary>Collectives to measure. Default shared-memory and ring.</summary>
    [CliHelp("Collectives to measure")]
    public string[] Kinds { get; init; } = ["shared-memory", "ring"];

    /// <summary>All-reduces of each; the median counts. Default 20.</summary>
    [CliHelp("All-reduces of each; the median counts")]
    public int Repetitions { get; init; } = 20;

    /// <summary>One JSON document.</summary>
    [CliHelp("One JSON document")]
    public bool Json { get; init; }

    /// <summary>Which rank this process is. The benchmark starts its ranks with it.</summary>
    [CliHelp("Used by the benchmark for the processes it starts: which rank this one is")]
    public int? ChildRank { get; init; }

    /// <summary>Where the ranks meet. The benchmark starts its ranks with it.</summary>
    [CliHelp("Used by the benchmark for the processes it starts: where they meet")]
    public string Meet { get; init; } = "";

    /// <summary>Everything wrong, one sentence each.</summary>
    internal IEnumerable<string> Problems()
    {
        if (Bytes < 4 || Bytes % 4 != 0)
            yield return $"bytes is {Bytes}; it must be a multiple of 4.";
        if (Ranks.Length == 0 || Ranks.Any(ranks => ranks is < 2 or > 64))
            yield return $"ranks is {string.Join(", ", Ranks)}; each must be from 2 to 64.";
        if (Repetitions < 1)
            yield return $"repetitions is {Repetitions}; it must be 1 or more.";
        if (ChildRank is { } rank && (Ranks is not [var only] || rank < 0 || rank >= only || Meet.Length == 0))
            yield return "child-rank needs one number of ranks above it and a place to meet.";
    }
}

/// <summary>
/// All-reduce between processes of this machine, beside MPICH's on buffers of the same size. Bus bandwidth is
/// 2 (R - 1) / R x bytes / time: what each rank sends, whatever R is.
/// </summary>
internal sealed class CollectiveBenchCommand : CliCommand<CollectiveBenchOptions>
{
    private const int Rounds = 3;

    /// <inheritdoc/>
    public override string Path => "bench collective";

    /// <inheritdoc/>
    public override string Summary => "Bus bandwidth of all-reduce between processes, against MPICH";

    /// <inheritdoc/>
    protected override async Task<ExitCode> RunAsync(CollectiveBenchOptions options, CliContext context, CancellationToken cancel)
    {
        Check(options.Problems());
        if (options.ChildRank is { } rank)
            RunRank(options, rank, context, cancel);
        else
            Write(context, await MeasureAsync(options, context, cancel), options.Json);
        return ExitCode.Ok;
    }

    private static void RunRank(CollectiveBenchOptions options, int rank, CliContext context, CancellationToken cancel)
    {
        var node = new NodeElsewhere(context.Node, context.Node.PeersAt(options.Meet));
        using var buffer = full(options.Bytes / 4, 0.001f * rank, ScalarType.Float32);
        var medians = new JsonObject();
        foreach (var kind in options.Kinds)
        {
            using var collective = node.Resolve<ICollectiveFactory>(kind).Create(new RankPlace($"bench-{kind}", rank, options.Ranks[0]), CPU, node);
            var seconds = new List<double>();
            for (var repetition = -1; repetition < options.Repetitions; repetition++)
            {
                cancel.ThrowIfCancellationRequested();
                collective.Barrier();
                var start = Stopwatch.GetTimestamp();
                collective.AllReduce(buffer);
                collective.Barrier();
                // The first is a warm-up.
                if (repetition >= 0)
                    seconds.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            }

            medians[kind] = Median(seconds);
        }

        context.Out.WriteLine(medians.ToJsonString());
    }

    private static async Task<JsonObject> MeasureAsync(CollectiveBenchOptions options, CliContext context, CancellationToken cancel)
    {
        var (found, why) = await MpiPeer.FindAsync(cancel);
        using var peer = found;
        var (bus, ratio, peerBus) = (new JsonObject(), new JsonObject(), new JsonObject());
        foreach (var ranks in options.Ranks)
        {
            // In turn, so that a busy moment of the machine hits both sides.
            var (ours, theirs) = (options.Kinds.ToDictionary(kind => kind, _ => new List<double>()), new List<double>());
            for (var round = 1; round <= Rounds; round++)
            {
                context.Error.WriteLine($"{ranks} ranks, round {round} of {Rounds} ...");
                foreach (var (kind, seconds) in await RankTeam.RunAsync(options.Kinds, ranks, options.Bytes, options.Repetitions, cancel))
                    ours[kind].Add(seconds);
                if (peer is not null && await peer.SecondsAsync(ranks, options.Bytes, options.Repetitions, cancel) is { } peerSeconds)
                    theirs.Add(peerSeconds);
            }

            var (key, onBus) = (ranks.ToString(CultureInfo.InvariantCulture), 2.0 * (ranks - 1) / ranks * options.Bytes * 1e-9);
            peerBus[key] = theirs.Count > 0 ? Round(onBus / Median(theirs)) : null;
            foreach (var (kind, seconds) in ours)
            {
                Entry(bus, kind)[key] = Round(onBus / Median(seconds));
                Entry(ratio, kind)[key] = theirs.Count > 0 ? Round(Median(theirs) / Median(seconds)) : null;
            }
        }

        if ((why ?? peer?.Why) is { } reason)
            context.Error.WriteLine(reason);
        return new JsonObject
        {
            ["bus_gb_s"] = bus,
            ["peer_ratio"] = peer is null ? null : ratio,
            ["peer_bus_gb_s"] = peer is null ? null : peerBus,
            ["peer"] = peer is null ? null : "MPICH",
            ["bytes"] = options.Bytes,
            ["repetitions"] = options.Repetitions * Rounds,
            ["machine"] = Machine(),
        };
    }

    private static JsonObject Entry(JsonObject of, string kind)
    {
        if (of[kind] is JsonObject known)
            return known;
        var made = new JsonObject();
        of[kind] = made;
        return made;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
