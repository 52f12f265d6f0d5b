using System.Globalization;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Bench;

/// <summary>One side of <c>bench train</c>: a plain loop, the engine alone, or a rank of it. It runs in this process or in a child.</summary>
/// <param name="Options">Of the benchmark; part, meeting place and strategy say which side it is.</param>
internal sealed record TrainBenchTask(TrainBenchOptions Options)
{
    private const double LearningRate = 3e-4;
    private const string RankPrefix = "rank:";

    /// <summary>True for the loops that use nothing of this project but the benchmark's text.</summary>
    public bool IsPlain => Options.Part is EagerLoop.Name or MixedLoop.Name;

    /// <summary>Command line of a child that does it.</summary>
    public IReadOnlyList<string> Arguments =>
    [
        "bench", "train", "--part", Options.Part, "--hidden", Text(Options.Hidden), "--layers", Text(Options.Layers), "--heads", Text(Options.Heads),
        "--feed-forward", Text(Options.FeedForward), "--vocabulary", Text(Options.Vocabulary), "--batch", Text(Options.Batch), "--tokens", Text(Options.Tokens),
        "--precision", Options.Precision, "--device", Options.Device,
        "--strategies", Options.Strategies, .. Options.Meet.Length == 0 ? (string[])[] : ["--ranks", Text(Options.Ranks), "--meet", Options.Meet],
    ];

    /// <summary>A plain loop.</summary>
    /// <param name="options">Of the benchmark.</param>
    /// <param name="name">Which.</param>
    public static TrainBenchTask Plain(TrainBenchOptions options, string name) => new(options with { Part = name, Strategies = "" });

    /// <summary>The engine with one rank, which has all cores.</summary>
    /// <param name="options">Of the benchmark.</param>
    public static TrainBenchTask Engine(TrainBenchOptions options) => new(options with { Part = EngineSide.Name, Strategies = "" });

    /// <summary>A rank.</summary>
    /// <param name="options">Of the benchmark.</param>
    /// <param name="strategy">How the engine shards.</param>
    /// <param name="rank">Which.</param>
    /// <param name="meet">Where all meet.</param>
    public static TrainBenchTask Rank(TrainBenchOptions options, string strategy, int rank, string meet) =>
        new(options with { Part = RankPrefix + Text(rank), Strategies = strategy, Meet = meet });

    /// <summary>Builds it here.</summary>
    /// <returns>What makes a step, and what to dispose at the end.</returns>
    /// <exception cref="UserErrorException">There is no such part.</exception>
    public (Func<StepReport> Step, IDisposable Owner) Open(INodeContext node, CancellationToken cancel)
    {
        var (on, scope) = (device(Options.Device), new Owned());
        switch (Options.Part)
        {
            case EagerLoop.Name or MixedLoop.Name:
                var batch = scope.Add(NewBatch(Options, on));
                PlainLoop loop = scope.Add<PlainLoop>(Options.Part == EagerLoop.Name
                    ? new EagerLoop(Options.Sizes, on, LearningRate)
                    : new MixedLoop(Options.Sizes, on, LearningRate));
                return (() => loop.TimedStep(batch.TokenIds), scope);
            case EngineSide.Name:
                return OpenEngine(node, on, NewBatch(Options, on), scope, cancel);
            case var part when part.StartsWith(RankPrefix, StringComparison.Ordinal) && int.TryParse(part[RankPrefix.Length..], CultureInfo.InvariantCulture, out var rank):
                var peers = Options.Ranks == 1 ? node.Peers : node.PeersAt(Options.Meet);
                var there = new NodeElsewhere(node, peers) { Place = new RankPlace("bench-train", rank, Options.Ranks), Sharding = Options.Strategies };
                return OpenEngine(there, on, NewBatch(Options, on, rank), scope, cancel);
            default:
                throw new UserErrorException($"part is {Options.Part}; it must be {EagerLoop.Name}, {MixedLoop.Name}, {EngineSide.Name} or {RankPrefix}N.", ExitCode.Usage);
        }
    }

    private (Func<StepReport> Step, IDisposable Owner) OpenEngine(INodeContext node, Device on, MicroBatch batch, Owned scope, CancellationToken cancel)
    {
        scope.Add(batch);
        var engine = scope.Add(new EngineSide(Options.Sizes, BenchOutput.Precision(Options.Precision)!.Value, on, node));
        return (() => engine.Step(batch, LearningRate, cancel), scope);
    }

    // All sequences of a step, or those of one rank.
    private static MicroBatch NewBatch(TrainBenchOptions options, Device on, int? rank = null)
    {
        var share = rank is null ? options.Batch : options.Batch / options.Ranks;
        var rows = Enumerable.Range((rank ?? 0) * share, share).Select(row =>
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

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    // Disposes the newest first.
    private sealed class Owned : IDisposable
    {
        private readonly Stack<IDisposable> _all = [];

        public T Add<T>(T one)
            where T : IDisposable
        {
            _all.Push(one);
            return one;
        }

        public void Dispose()
        {
            while (_all.TryPop(out var one))
                one.Dispose();
        }
    }
}
