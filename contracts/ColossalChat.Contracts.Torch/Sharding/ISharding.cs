using static TorchSharp.torch;

namespace ColossalChat.Contracts.Torch;

/// <summary>Decides which rank holds which part of parameters, gradients and optimiser states.</summary>
public interface IShardingStrategy
{
    /// <summary>Name, such as <c>none</c>, <c>ddp</c>, <c>zero1</c>.</summary>
    string Name { get; }

    /// <summary>Shares out one group of parameters (a block); the engine asks once for each.</summary>
    /// <param name="group">Name of the group.</param>
    /// <param name="parameters">Its parameters.</param>
    /// <param name="collective">The ranks.</param>
    IShardedGroup Shard(string group, IReadOnlyList<ParameterSlot> parameters, ICollective collective);
}

/// <summary>One rank's view of a group of parameters.</summary>
public interface IShardedGroup : IDisposable
{
    /// <summary>Makes all parameters of the group readable before its forward or backward.</summary>
    void Gather();

    /// <summary>Frees what this rank does not own.</summary>
    void Release();

    /// <summary>Reduces complete gradients over the ranks; [elements of the group] becomes [elements of this shard].</summary>
    Tensor ReduceGradients(Tensor flatGradients);

    /// <summary>The part of the parameters that this rank updates. [elements of this shard].</summary>
    Tensor OwnShard { get; }

    /// <summary>Gives updated shards to the ranks that need them.</summary>
    void Publish();
}

/// <summary>
/// Operations over all ranks of a group on flat buffers. Every operation has a sequence number and a deadline; a time-out
/// names the missing ranks. Reductions have a fixed order, so results do not depend on timing.
/// </summary>
public interface ICollective : IDisposable
{
    /// <summary>This rank, from 0.</summary>
    int Rank { get; }

    /// <summary>Number of ranks.</summary>
    int Ranks { get; }

    /// <summary>Sums over ranks, in place.</summary>
    void AllReduce(Tensor buffer);

    /// <summary>Sums over ranks; each keeps its own slice. The buffer divides evenly by the ranks.</summary>
    void ReduceScatter(Tensor buffer, Tensor ownSlice);

    /// <summary>Joins all ranks' slices in rank order.</summary>
    void AllGather(Tensor ownSlice, Tensor buffer);

    /// <summary>Copies one rank's buffer to all.</summary>
    void Broadcast(Tensor buffer, int root);

    /// <summary>Returns when every rank has called it.</summary>
    void Barrier();
}

/// <summary>Turns weights into few bits.</summary>
public interface IQuantizer
{
    /// <summary>Quantises one linear layer and gives the kernel that computes with it.</summary>
    /// <param name="site">The layer; its weight stays unchanged.</param>
    /// <param name="calibration">[samples, in] inputs the layer saw, or null for round-to-nearest.</param>
    ILinearKernel Quantize(ILinearSite site, Tensor? calibration);
}
