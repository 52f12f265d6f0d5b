using ColossalChat.Contracts.Torch;

namespace ColossalChat.Zero;

/// <summary>Decides chunk by chunk where states lie.</summary>
internal sealed class StatePlacement
{
    // Of the memory that is there, this share may be used; the rest is for what a step computes.
    private const double UsableShare = 0.8;
    private readonly IStateMemory _near;
    private readonly IStateMemory _far;
    private readonly int _ranks;
    private long _room;

    public StatePlacement(GeminiOptions options, ShardingSetup setup, bool isHost)
    {
        _ranks = setup.Collective.Ranks;
        var disk = new DiskMemory(setup.ScratchFolder);
        _far = options.Placement switch
        {
            GeminiPlacement.Device => DeviceMemory.Instance,
            GeminiPlacement.Host => HostMemory.Instance,
            GeminiPlacement.Disk => disk,
            _ => isHost ? disk : HostMemory.Instance,
        };
        _near = DeviceMemory.Instance;
        _room = options.Placement == GeminiPlacement.Auto ? RoomOf(options) : 0;
    }

    /// <summary>Memory of the next chunk's states.</summary>
    public IStateMemory Next(IReadOnlyList<ParameterSlot> slots)
    {
        // Master, two moments and the gradient sum.
        var bytes = 4 * sizeof(float) * slots.Sum(ChunkSearch.LengthOf) / _ranks;
        if (bytes > _room)
            return _far;
        _room -= bytes;
        return _near;
    }

    private static long RoomOf(GeminiOptions options)
    {
        var limit = options.MemoryLimitMb > 0
            ? (long)options.MemoryLimitMb << 20
            : (long)(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes * UsableShare);
        return Math.Max(0, limit - Environment.WorkingSet);
    }
}
