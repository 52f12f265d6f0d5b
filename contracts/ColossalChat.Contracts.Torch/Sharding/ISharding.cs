using static TorchSharp.torch;

namespace ColossalChat.Contracts.Torch;

// n = elements of a chunk, padded to a multiple of the ranks; m = elements of this rank's shard of it.

/// <summary>The trainable parameters of one part of a model.</summary>
/// <param name="Name">Such as <c>embedding</c>, <c>block.0</c>, <c>head</c>.</param>
/// <param name="Slots">Its parameters, all of one element type.</param>
public sealed record PartParameters(string Name, IReadOnlyList<ParameterSlot> Slots);

/// <summary>Decides which rank holds which part of weights, gradients and optimiser states, and in which memory.</summary>
public interface IShardingStrategy
{
    /// <summary>Name, such as <c>none</c>, <c>ddp</c>, <c>zero1</c>, <c>gemini</c>.</summary>
    string Name { get; }

    /// <summary>True when each rank holds a part of the states, so that norms and checkpoints need all ranks.</summary>
    bool ShardsStates { get; }

    /// <summary>
    /// Takes over the parameters: their values become views into flat chunks. Every rank calls it with equal parts; ranks
    /// other than 0 receive rank 0's values.
    /// </summary>
    /// <param name="parts">In model order.</param>
    /// <param name="setup">What the chunks work with.</param>
    /// <returns>Chunks in model order; each slot is in exactly one.</returns>
    /// <exception cref="UserErrorException">The strategy cannot work with so many ranks; the message says which can.</exception>
    IReadOnlyList<IShardedChunk> Shard(IReadOnlyList<PartParameters> parts, ShardingSetup setup);
}

/// <summary>What a strategy's chunks work with.</summary>
/// <param name="Collective">The ranks; calls go through <paramref name="Lane"/> once training began.</param>
/// <param name="Lane">The thread that carries out all communication, in order.</param>
/// <param name="ScratchFolder">Where states on disk go; the strategy makes and removes files of its own in it.</param>
public sealed record ShardingSetup(ICollective Collective, ICommunicationLane Lane, string ScratchFolder);

/// <summary>
/// One thread that carries out a rank's communication in the order it was asked for, while the rank's own thread computes.
/// Since every rank asks in the same order, the ranks' operations meet.
/// </summary>
public interface ICommunicationLane
{
    /// <summary>Queues work; returns at once.</summary>
    /// <param name="work">Called on the lane's thread.</param>
    /// <returns>Ends with the work; its failure is the work's.</returns>
    Task Post(Action work);

    /// <summary>Waits for posted work; time waited here is communication that nothing hid.</summary>
    void Wait(Task work);
}

/// <summary>
/// Parameters that are moved, reduced and updated together. In a pass: gather, use, release; in backward also accumulate
/// and reduce. After the window: read the shard's gradients, update the shard's states, publish.
/// </summary>
public interface IShardedChunk : IDisposable
{
    /// <summary>Unique in the model.</summary>
    string Name { get; }

    /// <summary>Its parameters in order.</summary>
    IReadOnlyList<ParameterSlot> Slots { get; }

    /// <summary>Begins to make the weights readable; <see cref="Gather"/> waits for it.</summary>
    void Prefetch();

    /// <summary>Makes the values of all slots readable, as leaves that require gradients. Calls nest.</summary>
    void Gather();

    /// <summary>Ends one <see cref="Gather"/>; after the last, foreign weights may be freed once no graph holds them.</summary>
    void Release();

    /// <summary>Starts a window: gradients are 0.</summary>
    void ZeroGradients();

    /// <summary>Adds one parameter's gradient of this micro-batch.</summary>
    /// <param name="slot">One of <see cref="Slots"/>.</param>
    /// <param name="gradient">Of the slot's shape, any floating type; not kept.</param>
    void Accumulate(ParameterSlot slot, Tensor gradient);

    /// <summary>
    /// All gradients of this micro-batch are in: begins to reduce them over the ranks, if the strategy does so now.
    /// Every rank calls it as often, also for micro-batches it does not have.
    /// </summary>
    /// <param name="isLast">True on the window's last micro-batch.</param>
    void Reduce(bool isLast);

    /// <summary>Where this rank's shard lies in the chunk, in elements; the whole chunk where states are not sharded.</summary>
    ShardRange Range { get; }

    /// <summary>This rank's elements; waits for reductions of their gradients. The chunk owns the tensors.</summary>
    OptimizerShard Shard { get; }

    /// <summary>Gives the updated weights of this shard to the ranks that need them.</summary>
    void Publish();

    /// <summary>Bytes that this rank holds now.</summary>
    ShardMemory Memory { get; }
}

/// <summary>A run of elements of a chunk.</summary>
/// <param name="Start">First element.</param>
/// <param name="Length">Elements; those beyond the parameters are padding.</param>
public readonly record struct ShardRange(long Start, long Length)
{
    /// <summary>One past the last element.</summary>
    public long End => Start + Length;
}

/// <summary>What an optimiser updates: this rank's elements of a chunk; [m] each, on one device or in mapped files.</summary>
/// <param name="Gradients">float32, summed over ranks and micro-batches.</param>
/// <param name="Master">float32, the weights as the optimiser knows them.</param>
/// <param name="Mean">float32, first moment.</param>
/// <param name="Square">float32, second moment.</param>
/// <param name="Weights">
/// Working weights, to be written with the rounded master; the same tensor as <paramref name="Master"/> where they are float32.
/// </param>
public sealed record OptimizerShard(Tensor Gradients, Tensor Master, Tensor Mean, Tensor Square, Tensor Weights);

/// <summary>Bytes of one rank, by what they are for.</summary>
/// <param name="Weights">Working weights at rest.</param>
/// <param name="Gathered">Working weights of others, held for the moment.</param>
/// <param name="Gradients">Gradients.</param>
/// <param name="States">Master weights and optimiser states in memory.</param>
/// <param name="OnDisk">Anything of these that lies in mapped files; not counted in the others.</param>
public readonly record struct ShardMemory(long Weights, long Gathered, long Gradients, long States, long OnDisk)
{
    /// <summary>Sum by kind.</summary>
    public static ShardMemory operator +(ShardMemory a, ShardMemory b) => new(
        a.Weights + b.Weights, a.Gathered + b.Gathered, a.Gradients + b.Gradients, a.States + b.States, a.OnDisk + b.OnDisk);
}
