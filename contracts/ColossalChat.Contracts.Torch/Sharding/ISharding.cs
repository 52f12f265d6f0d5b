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
