using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Zero;

/// <summary>
/// The strategies that keep one chunk for each part of the model: <c>none</c>, <c>ddp</c>, <c>zero1</c>, <c>zero2</c>,
/// <c>zero3</c>.
/// </summary>
internal sealed class ZeroStrategy(string name, ShardingLevel level) : IShardingStrategy
{
    /// <summary>The strategy of one rank.</summary>
    public const string None = "none";

    /// <inheritdoc/>
    public string Name { get; } = name;

    /// <inheritdoc/>
    public bool ShardsStates => level >= ShardingLevel.States;

    /// <inheritdoc/>
    public IReadOnlyList<IShardedChunk> Shard(IReadOnlyList<PartParameters> parts, ShardingSetup setup)
    {
        if (Name == None && setup.Collective.Ranks > 1)
            throw new UserErrorException(
                $"sharding is none, and the trainer has {setup.Collective.Ranks} ranks; none is for one rank. Use ddp, zero1, zero2, zero3 or gemini, or set ranks to 1.");
        return [.. parts.Select(part => new ShardedChunk(part.Name, part.Slots, setup, level, DeviceMemory.Instance))];
    }
}
