using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Engine;
using ColossalChat.Numerics;
using ColossalChat.UnitTests.Models;
using ColossalChat.UnitTests.Rlhf.Support;
using ColossalChat.Zero;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Zero;

/// <summary>Placement auto: what the first step needed decides what moves, and moving changes no bit.</summary>
[Trait("Category", "CI")]
public sealed class FirstStepTraceTests : IDisposable
{
    private const long Mebi = 1 << 20;
    private const long Limit = 4 * Mebi;
    private readonly string _scratch = Directory.CreateTempSubdirectory("colossalchat-states-").FullName;

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void As_many_chunks_as_fit_beside_the_step_move_near_in_model_order(ScalarType type)
    {
        using var model = SmallModel.Create(precision: type);
        for (var expected = 0; expected <= 3; expected++)
        {
            using var collective = CollectiveRanks.Alone();
            var used = 0L;
            var chunks = new GeminiStrategy(Options(GeminiPlacement.Auto), new SharedRoom(() => used))
                .Shard(Parts(model), new ShardingSetup(collective, new NoLane(), _scratch)).Cast<ShardedChunk>().ToArray();
            Assert.Equal(3, chunks.Length);
            Assert.All(chunks, chunk => Assert.Equal(chunk.StateBytes, chunk.Memory.OnDisk));

            // The most that is in use, not what is in use at the end, decides.
            Step(chunks, during: () => used = Limit - chunks.Take(expected).Sum(chunk => chunk.StateBytes), after: () => used = 0);

            Assert.Equal(chunks.Select((_, i) => i < expected), chunks.Select(chunk => chunk.Memory.OnDisk == 0));
            foreach (var chunk in chunks)
                chunk.Dispose();
        }
    }

    [Fact]
    public void A_state_that_is_read_back_before_the_first_step_moves_nothing()
    {
        using var model = SmallModel.Create();
        using var collective = CollectiveRanks.Alone();
        var chunks = new GeminiStrategy(Options(GeminiPlacement.Auto), new SharedRoom(() => 0)).Shard(
            Parts(model), new ShardingSetup(collective, new NoLane(), _scratch));
        foreach (var chunk in chunks)
            chunk.Publish();

        Assert.All(chunks, chunk => Assert.True(chunk.Memory.OnDisk > 0));
        foreach (var chunk in chunks)
            chunk.Dispose();
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void Training_is_the_same_bit_for_bit_wherever_states_lie(ScalarType type)
    {
        var device = Train(type, GeminiPlacement.Device, room: 0).State;
        foreach (var (room, someNear, someFar) in new[] { (0, false, true), (150_000, true, true), (Limit, true, false) })
        {
            var (usage, state) = Train(type, GeminiPlacement.Auto, room);
            Assert.Equal(someNear, usage.States > 0);
            Assert.Equal(someFar, usage.OnDisk > 0);
            Assert.Equal(device.TensorNames, state.TensorNames);
            foreach (var name in device.TensorNames)
                Assert.True(Bytes(device, name).SequenceEqual(Bytes(state, name)), $"{name} with room {room}");
        }
    }

    [Fact]
    public void Engines_share_the_room_and_know_what_others_took()
    {
        var room = new SharedRoom(() => 0);
        var (first, second) = (room.Enter(), room.Enter());
        var given = new List<long>();
        long Take(long bytes, long take)
        {
            given.Add(bytes);
            return take;
        }

        room.Decide(1000, 400, first, bytes => Take(bytes, 100));
        room.Decide(1000, 400, second, bytes => Take(bytes, 500));
        // Its peak has what the others hold already.
        room.Decide(1000, 900, room.Enter(), bytes => Take(bytes, 0));

        Assert.Equal([300, 500, 100], given);
    }

    [Fact]
    public void An_engine_that_never_trains_takes_nothing_from_the_others()
    {
        var room = new SharedRoom(() => 0);
        var idle = new FirstStepTrace(room, 1000, isWatched: false);
        idle.Follow([]);
        idle.Dispose();
        var before = room.Enter();

        room.Decide(1000, 400, before, bytes =>
        {
            Assert.Equal(600, bytes);
            return 0;
        });
    }

    [Fact]
    public void Anonymous_memory_grows_with_what_is_written_and_not_with_mapped_files()
    {
        if (!OperatingSystem.IsLinux())
            return;
        // Other tests allocate and free meanwhile: one undisturbed look is enough, and a wrong measure never gives one.
        Assert.Contains(Enumerable.Range(0, 8), _ =>
        {
            const long elements = 16 * Mebi;
            var before = ProcessMemory.Now();
            using var mapped = new DiskMemory(_scratch).Allocate("big", elements, CPU).fill_(1);
            var afterFile = ProcessMemory.Now();
            using var anonymous = DeviceMemory.Instance.Allocate("big", elements, CPU).fill_(1);
            return Math.Abs(afterFile - before) < 40 * Mebi && Math.Abs(ProcessMemory.Now() - afterFile - (64 * Mebi)) < 40 * Mebi;
        });
        Assert.InRange(ProcessMemory.Allowed, Mebi, long.MaxValue - 1);
    }

    [Fact]
    public void States_that_find_no_room_on_the_disk_are_refused_before_they_are_used()
    {
        var error = Assert.Throws<UserErrorException>(() => new DiskMemory(_scratch).Allocate("huge", 1L << 48, CPU));

        Assert.Equal(ExitCode.Resource, error.ExitCode);
        Assert.Contains(_scratch, error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_scratch));
    }

    public void Dispose() => Directory.Delete(_scratch, recursive: true);

    private static byte[] Bytes(MemoryState state, string name)
    {
        var bytes = new byte[state.Describe(name).Shape.Aggregate(1L, (product, size) => product * size) * sizeof(float)];
        state.ReadTensor(name, bytes);
        return bytes;
    }

    private static GeminiOptions Options(GeminiPlacement placement) =>
        new() { Placement = placement, MemoryLimitMb = (int)(Limit / Mebi), MinChunkM = 0.004, SearchRangeM = 0.001 };

    private static IReadOnlyList<PartParameters> Parts(ICausalModel model) =>
        [.. model.Blocks.Select((block, i) => new PartParameters($"block.{i}", block.Parameters))];

    private static void Step(ShardedChunk[] chunks, Action during, Action after)
    {
        using var scope = NewDisposeScope();
        foreach (var chunk in chunks)
            chunk.ZeroGradients();
        during();
        foreach (var chunk in chunks)
        {
            chunk.Gather();
            foreach (var slot in chunk.Slots)
                chunk.Accumulate(slot, ones_like(slot.Value));
            chunk.Reduce(isLast: true);
            chunk.Release();
        }

        after();
        foreach (var chunk in chunks)
            chunk.Publish();
        foreach (var gradients in chunks.Select(chunk => chunk.Shard.Gradients))
            Assert.Equal(1, gradients.narrow(0, 0, 1).item<float>());
    }

    private (ShardMemory Usage, MemoryState State) Train(ScalarType type, GeminiPlacement placement, long room)
    {
        using var scope = NewDisposeScope();
        using var model = SmallModel.Create(precision: type);
        var strategy = new GeminiStrategy(Options(placement), new SharedRoom(() => Limit - room));
        using var engine = new TrainingEngine(
            new TrainingTarget(model, model.LanguageHead, null), new EngineOptions { Threads = 1 }, strategy, CollectiveRanks.Alone(), _scratch);
        for (var step = 0; step < 3; step++)
        {
            using var stepScope = NewDisposeScope();
            engine.ComputeGradients([new ObjectivePart("train", SmallWindow.Ragged(rows: 6), TokenCrossEntropy.Instance)], CancellationToken.None);
            engine.Apply(3e-3);
        }

        var state = new MemoryState();
        engine.Capture(state);
        return (engine.Usage.Memory, state);
    }

    // All work at once.
    private sealed class NoLane : ICommunicationLane
    {
        public Task Post(Action work)
        {
            work();
            return Task.CompletedTask;
        }

        public void Wait(Task work)
        {
        }
    }
}
