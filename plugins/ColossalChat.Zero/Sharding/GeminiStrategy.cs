using ColossalChat.Contracts.Torch;
using TorchSharp;

namespace ColossalChat.Zero;

/// <summary>
/// Strategy <c>gemini</c>: everything is sharded, chunks are cut by a search for the least waste, and states lie where
/// the placement says.
/// </summary>
/// <param name="options">Settings.</param>
/// <param name="room">The host's memory, for placement auto; null measures it.</param>
internal sealed class GeminiStrategy(GeminiOptions options, SharedRoom? room = null) : IShardingStrategy
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
        var isHost = slots[0].Value.device_type is DeviceType.CPU or DeviceType.META;
        ShardedChunk[] chunks = [];
        var placement = StatePlacement.Of(options, setup.ScratchFolder, isHost, room, () => chunks.Sum(chunk => chunk.WorkingBytes));
        chunks = [.. ChunkSearch.Pack(slots, size)
            .Select((own, i) => new ShardedChunk($"chunk.{i}", own, setup, ShardingLevel.Weights, placement.First, placement.Trace))];
        placement.Trace?.Follow(chunks);
        return chunks;
    }
}
