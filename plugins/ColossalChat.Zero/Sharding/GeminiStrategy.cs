using ColossalChat.Contracts.Torch;
using TorchSharp;

namespace ColossalChat.Zero;

/// <summary>
/// Strategy <c>gemini</c>: everything is sharded, chunks are cut by a search for the least waste, and states lie where
/// the placement says.
/// </summary>
internal sealed class GeminiStrategy(GeminiOptions options) : IShardingStrategy
{
    private const double Mega = 1 << 20;

    /// <inheritdoc/>
    public string Name => "gemini";

    /// <inheritdoc/>
    public bool ShardsStates => true;

    /// <inheritdoc/>
    public IReadOnlyList<IShardedChunk> Shard(IReadOnlyList<PartParameters> parts, ShardingSetup setup)
    {
        var slots = parts.SelectMany(part => part.Slots).ToArray();
        var size = ChunkSearch.Best(
            [.. slots.Select(ChunkSearch.LengthOf)], (long)(options.MinChunkM * Mega), (long)(options.SearchRangeM * Mega)).Size;
        var chunks = ChunkSearch.Pack(slots, size);
        var placement = new StatePlacement(options, setup, slots[0].Value.device_type == DeviceType.CPU);
        return [.. chunks.Select((own, i) => new ShardedChunk($"chunk.{i}", own, setup, ShardingLevel.Weights, placement.Next(own)))];
    }
}
