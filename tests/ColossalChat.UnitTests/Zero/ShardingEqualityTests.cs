using System.Collections.Concurrent;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Engine;
using ColossalChat.Numerics;
using ColossalChat.UnitTests.Models;
using ColossalChat.UnitTests.Rlhf.Support;
using ColossalChat.UnitTests.Transfer;
using ColossalChat.Zero;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Zero;

/// <summary>Property 4: however a model is shared out over ranks, it learns what one plain rank learns.</summary>
public sealed class ShardingEqualityTests
{
    private const int Steps = 20;
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);
    private static readonly string[] Strategies = ["ddp", "zero1", "zero2", "zero3", "gemini device", "gemini host", "gemini disk", "gemini auto"];
    private static readonly ConcurrentDictionary<(ScalarType, int), Task<Curve>> s_plain = [];

    /// <summary>Every strategy with every other setting at least once.</summary>
    public static TheoryData<string, int, int, int> Some { get; } = new()
    {
        { "none", 1, 4, 1 }, { "ddp", 2, 1, 0 }, { "ddp", 4, 4, 1 }, { "zero1", 2, 4, 1 }, { "zero1", 4, 1, 0 }, { "zero2", 2, 4, 0 },
        { "zero2", 4, 1, 1 }, { "zero3", 2, 1, 1 }, { "zero3", 4, 4, 0 }, { "gemini device", 1, 4, 0 }, { "gemini host", 2, 4, 1 },
        { "gemini disk", 4, 1, 0 }, { "gemini auto", 2, 1, 1 },
    };

    /// <summary>All.</summary>
    public static TheoryData<string, int, int, int> Whole
    {
        get
        {
            var all = new TheoryData<string, int, int, int>();
            foreach (var strategy in Strategies)
                foreach (var ranks in new[] { 1, 2, 4 })
                    foreach (var accumulation in new[] { 1, 4 })
                        foreach (var recompute in new[] { 0, 1 })
                            all.Add(strategy, ranks, accumulation, recompute);
            return all;
        }
    }

    [Theory]
    [Trait("Category", "CI")]
    [MemberData(nameof(Some))]
    public Task Ranks_learn_what_one_learns(string strategy, int ranks, int accumulation, int recompute) =>
        Compare(ScalarType.Float32, strategy, ranks, accumulation, recompute, worst: 1e-5, mean: 1e-6);

    [Theory]
    [Trait("Category", "CI")]
    [InlineData("zero1", 2, 4, 0)]
    [InlineData("zero3", 4, 1, 1)]
    [InlineData("gemini disk", 2, 4, 1)]
    public Task Ranks_learn_what_one_learns_in_bf16(string strategy, int ranks, int accumulation, int recompute) =>
        Compare(ScalarType.BFloat16, strategy, ranks, accumulation, recompute, worst: 2e-2, mean: 1e-2);

    [Theory]
    [Trait("Category", "Full")]
    [MemberData(nameof(Whole))]
    public async Task Ranks_learn_what_one_learns_in_every_setting(string strategy, int ranks, int accumulation, int recompute)
    {
        await Compare(ScalarType.Float32, strategy, ranks, accumulation, recompute, worst: 1e-5, mean: 1e-6);
        await Compare(ScalarType.BFloat16, strategy, ranks, accumulation, recompute, worst: 2e-2, mean: 1e-2);
    }

    [Theory] // Property 6, second half: another number of ranks, another strategy, the same way on.
    [Trait("Category", "CI")]
    [InlineData("zero2", 2, "zero3", 4)]
    [InlineData("gemini disk", 4, "none", 1)]
    [InlineData("none", 1, "zero1", 2)]
    public async Task A_state_is_read_by_any_number_of_ranks(string from, int fromRanks, string to, int toRanks)
    {
        var plain = await Plain(ScalarType.Float32, 1);
        var half = await Run(new Setting(ScalarType.Float32, from, fromRanks, 1, 0), Steps / 2, null);
        var rest = await Run(new Setting(ScalarType.Float32, to, toRanks, 1, 0), Steps - (Steps / 2), half.States);
        AssertClose(plain.Losses[(Steps / 2)..], rest.Losses, 1e-5, 1e-6);
        AssertClose(plain.Norms[(Steps / 2)..], rest.Norms, 1e-5, 1e-6);
    }

    private static async Task Compare(ScalarType type, string strategy, int ranks, int accumulation, int recompute, double worst, double mean)
    {
        var plain = await Plain(type, accumulation);
        var shared = await Run(new Setting(type, strategy, ranks, accumulation, recompute), Steps, null);
        AssertClose(plain.Losses, shared.Losses, worst, mean);
        AssertClose(plain.Norms, shared.Norms, worst, mean);
        Assert.True(plain.Losses[^1] < plain.Losses[0], "It learns at all.");
    }

    private static Task<Curve> Plain(ScalarType type, int accumulation) =>
        s_plain.GetOrAdd((type, accumulation), _ => Run(new Setting(type, "none", 1, accumulation, 0), Steps, null));

    private static void AssertClose(double[] expected, double[] actual, double worst, double mean)
    {
        var distances = expected.Zip(actual, (a, b) => Math.Abs(a - b) / Math.Abs(a)).ToArray();
        Assert.Equal(expected.Length, actual.Length);
        Assert.True(distances.Max() <= worst, $"worst {distances.Max():E2} at step {Array.IndexOf(distances, distances.Max())}");
        Assert.True(distances.Average() <= mean, $"mean {distances.Average():E2}");
    }

    private static async Task<Curve> Run(Setting setting, int steps, IReadOnlyList<MemoryState>? from)
    {
        using var place = new MeetingPlace("in-process");
        var curve = new Curve(new double[steps], new double[steps], new MemoryState[setting.Ranks]);
        var scratch = Directory.CreateTempSubdirectory("colossalchat-states-");
        try
        {
            await MeetingPlace.EachRank(setting.Ranks, rank =>
            {
                using var scope = NewDisposeScope();
                using var model = SmallModel.Create(tied: true, precision: setting.Type);
                var collective = CollectiveRanks.Join("auto", place.Links, new RankPlace("trainers", rank, setting.Ranks), Limit);
                var options = new EngineOptions { ActivationCheckpointing = setting.Recompute, Threads = 1 };
                using var engine = new TrainingEngine(
                    new TrainingTarget(model, model.LanguageHead, null), options, StrategyOf(setting.Strategy), collective, scratch.FullName);
                if (from is not null)
                    engine.Restore(new JoinedState(from));
                Learn(engine, setting, rank, curve, steps);
                engine.Capture(curve.States[rank] = new MemoryState());
            }, Limit);
        }
        finally
        {
            scratch.Delete(recursive: true);
        }

        return curve;
    }

    private static void Learn(TrainingEngine engine, Setting setting, int rank, Curve curve, int steps)
    {
        for (var step = 0; step < steps; step++)
        {
            using var scope = NewDisposeScope();
            var report = engine.ComputeGradients(
                [new ObjectivePart("train", SmallWindow.Ragged(15, rank, setting.Ranks, setting.Accumulation), TokenCrossEntropy.Instance)], CancellationToken.None);
            engine.Apply(3e-4);
            if (rank == 0)
                (curve.Losses[step], curve.Norms[step]) = (report.Metrics["train/loss"], report.GradientNorm);
        }
    }

    /// <summary>A strategy, with chunks that fit small models; gemini with its placement.</summary>
    internal static IShardingStrategy StrategyOf(string name) => name switch
    {
        "none" => new ZeroStrategy(name, ShardingLevel.Nothing),
        "ddp" => new ZeroStrategy(name, ShardingLevel.Nothing),
        "zero1" => new ZeroStrategy(name, ShardingLevel.States),
        "zero2" => new ZeroStrategy(name, ShardingLevel.Gradients),
        "zero3" => new ZeroStrategy(name, ShardingLevel.Weights),
        _ => new GeminiStrategy(new GeminiOptions { Placement = Enum.Parse<GeminiPlacement>(name.Split(' ')[1], ignoreCase: true), MinChunkM = 0.004, SearchRangeM = 0.01 }),
    };

    private sealed record Setting(ScalarType Type, string Strategy, int Ranks, int Accumulation, int Recompute);

    private sealed record Curve(double[] Losses, double[] Norms, MemoryState[] States);

    // All ranks' states as one, as a checkpoint gives them back.
    private sealed class JoinedState(IReadOnlyList<MemoryState> ranks) : IStateReader
    {
        public IReadOnlyList<string> TensorNames => [.. ranks.SelectMany(rank => rank.TensorNames).Distinct()];

        public (ElementType Type, long[] Shape) Describe(string name) => Of(name).Describe(name);

        public void ReadTensor(string name, Span<byte> destination) => Of(name).ReadTensor(name, destination);

        public string ReadJson(string name) => ranks[0].ReadJson(name);

        private MemoryState Of(string name) => ranks.First(rank => rank.TensorNames.Contains(name));
    }
}
