using System.Collections.Concurrent;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Engine;
using ColossalChat.Models.Llama;
using ColossalChat.Numerics;
using ColossalChat.UnitTests.Transfer;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Zero;

/// <summary>Runs alone: it counts the tensors of the whole process.</summary>
[CollectionDefinition(nameof(MemoryTests), DisableParallelization = true)]
public sealed class MemoryTestsAlone;

/// <summary>No redundant memory: each rank holds its share, nothing more stays, and it is known before.</summary>
[Trait("Category", "CI")]
[Collection(nameof(MemoryTests))]
public sealed class MemoryTests : IDisposable
{
    private const int Ranks = 4;
    private const double Slack = 1.03;
    private const int AdamBytes = 12; // Master weight and two moments, float32.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);
    private readonly string _scratch = Directory.CreateTempSubdirectory("colossalchat-states-").FullName;

    // 1.7 million parameters, 164 thousand in each block.
    private const string Config = """
        {
          "model_type": "llama", "vocab_size": 4096, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4,
          "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 64, "tie_word_embeddings": false
        }
        """;

    [Theory]
    [InlineData("zero1")]
    [InlineData("zero2")]
    [InlineData("zero3")]
    [InlineData("gemini device")]
    [InlineData("gemini disk")]
    public async Task Optimiser_and_master_bytes_of_a_rank_are_a_quarter(string strategy)
    {
        var (parameters, _) = Sizes();
        foreach (var memory in await Trained(strategy, Ranks))
        {
            // On disk gradient sums lie beside them.
            var (bytes, perParameter) = memory.OnDisk > 0 ? (memory.OnDisk, AdamBytes + sizeof(float)) : (memory.States, AdamBytes);
            Assert.InRange(bytes, perParameter * parameters / Ranks, (long)(perParameter * parameters / Ranks * Slack));
        }
    }

    [Theory]
    [InlineData("zero3")]
    [InlineData("gemini device")]
    public async Task Parameter_bytes_at_rest_are_a_quarter_and_at_most_a_block(string strategy)
    {
        var (parameters, block) = Sizes();
        foreach (var memory in await Trained(strategy, Ranks))
            Assert.InRange(memory.Weights + memory.Gathered, sizeof(short) * parameters / Ranks, (long)(((sizeof(short) * parameters / Ranks) + (sizeof(short) * block)) * Slack));
    }

    [Theory]
    [InlineData("zero2", 16)]
    [InlineData("zero3", 16)]
    [InlineData("ddp", 0)]
    public async Task Gradients_are_shared_out_where_the_strategy_says_so(string strategy, int sharedBytes)
    {
        var parameters = Sizes().Parameters;
        foreach (var memory in await Trained(strategy, Ranks))
            Assert.InRange(
                memory.Gradients + memory.States, sharedBytes > 0 ? sharedBytes * parameters / Ranks : 16 * parameters, (long)((sharedBytes > 0 ? sharedBytes * parameters / Ranks : 16 * parameters) * Slack));
    }

    [Theory]
    [InlineData("zero1")]
    [InlineData("zero3")]
    [InlineData("gemini disk")]
    [InlineData("gemini auto")]
    public async Task No_tensor_stays_of_a_step(string strategy)
    {
        var counts = new ConcurrentBag<long>();
        await Each(strategy, Ranks, (engine, rank, barrier) =>
        {
            for (var step = 0; step < 5; step++)
            {
                Step(engine, rank, Ranks);
                barrier.SignalAndWait(Limit);
                // The first steps fill caches and move states.
                if (rank == 0 && step >= 2)
                    counts.Add(Tensor.TotalCount);
                barrier.SignalAndWait(Limit);
            }
        });

        Assert.Equal(3, counts.Count);
        Assert.Single(counts.Distinct());
    }

    /// <summary>Every strategy with every number of ranks it allows.</summary>
    public static TheoryData<string, int> Predicted { get; } = new()
    {
        { "none", 1 }, { "ddp", 2 }, { "zero1", 1 }, { "zero1", 2 }, { "zero1", 4 }, { "zero2", 1 }, { "zero2", 2 }, { "zero2", 4 },
        { "zero3", 1 }, { "zero3", 2 }, { "zero3", 4 }, { "gemini disk", 1 }, { "gemini disk", 2 }, { "gemini disk", 4 }, { "gemini host", 2 },
    };

    [Theory]
    [MemberData(nameof(Predicted))]
    public async Task A_model_without_numbers_predicts_what_a_trained_one_holds(string strategy, int ranks)
    {
        foreach (var precision in (ScalarType[])[ScalarType.BFloat16, ScalarType.Float32])
        {
            var measured = await Trained(strategy, ranks, precision);
            for (var rank = 0; rank < ranks; rank++)
            {
                using var scope = NewDisposeScope();
                using var model = New(precision, META);
                using var engine = NewEngine(model, strategy, CollectiveRanks.OnMeta(new RankPlace("trainers", rank, ranks)));
                Assert.Equal(measured[rank], engine.Usage.Memory);
                Assert.Empty(Directory.GetFiles(_scratch));
            }
        }
    }

    public void Dispose() => Directory.Delete(_scratch, recursive: true);

    private static ICausalModel New(ScalarType precision, Device device) =>
        new LlamaFamily().Create(Config, precision, device, new RandomKey(1, RandomPurpose.Initialisation));

    private static (long Parameters, long Block) Sizes()
    {
        using var model = New(ScalarType.BFloat16, META);
        long Of(IModelPart part) => part.Parameters.Sum(slot => slot.Shape.Aggregate(1L, (product, size) => product * size));
        var blocks = model.Blocks.Select(Of).ToArray();
        return (Of(model.Embedding) + blocks.Sum() + Of(model.LanguageHead), blocks.Max());
    }

    private static void Step(TrainingEngine engine, int rank, int ranks)
    {
        using var scope = NewDisposeScope();
        var window = SmallWindow.Ragged(rows: 8, rank, ranks);
        engine.ComputeGradients([new ObjectivePart("train", window, TokenCrossEntropy.Instance)], CancellationToken.None);
        engine.Apply(1e-3);
        foreach (var batch in window)
            batch.Dispose();
    }

    private TrainingEngine NewEngine(ICausalModel model, string strategy, ICollective collective) =>
        new(new TrainingTarget(model, model.LanguageHead, null), new EngineOptions { Threads = 1 }, ShardingEqualityTests.StrategyOf(strategy), collective, _scratch);

    private async Task<ShardMemory[]> Trained(string strategy, int ranks, ScalarType precision = ScalarType.BFloat16)
    {
        var memory = new ShardMemory[ranks];
        await Each(strategy, ranks, (engine, rank, _) =>
        {
            Step(engine, rank, ranks);
            memory[rank] = engine.Usage.Memory;
        }, precision);
        return memory;
    }

    private async Task Each(string strategy, int ranks, Action<TrainingEngine, int, Barrier> body, ScalarType precision = ScalarType.BFloat16)
    {
        using var place = new MeetingPlace("in-process");
        using var barrier = new Barrier(ranks);
        await MeetingPlace.EachRank(ranks, rank =>
        {
            using var scope = NewDisposeScope();
            using var model = New(precision, CPU);
            var collective = CollectiveRanks.Join("auto", place.Links, new RankPlace("trainers", rank, ranks), Limit);
            using var engine = NewEngine(model, strategy, collective);
            body(engine, rank, barrier);
        }, Limit);
    }
}
