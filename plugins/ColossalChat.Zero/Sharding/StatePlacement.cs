using ColossalChat.Contracts;

namespace ColossalChat.Zero;

/// <summary>Where the states of a model's chunks lie at first, and what may move them.</summary>
/// <param name="First">Their first memory.</param>
/// <param name="Trace">Moves them after the first step; null where they stay.</param>
internal sealed record StatePlacement(IStateMemory First, FirstStepTrace? Trace)
{
    // Of the memory that is there, this share may be used; later steps may be larger than the first.
    private const double UsableShare = 0.8;

    /// <summary>What the settings mean on a device.</summary>
    /// <param name="options">Settings.</param>
    /// <param name="scratchFolder">Where states on disk go.</param>
    /// <param name="isHost">True when the working weights lie in host memory.</param>
    /// <param name="room">The host's memory; null measures it.</param>
    /// <param name="chunkBytes">Bytes of the chunks on the device besides states, for a GPU.</param>
    /// <exception cref="UserErrorException">The device's memory cannot be measured and no limit is set.</exception>
    public static StatePlacement Of(GeminiOptions options, string scratchFolder, bool isHost, SharedRoom? room, Func<long> chunkBytes)
    {
        var disk = new DiskMemory(scratchFolder);
        return options.Placement switch
        {
            GeminiPlacement.Device => new StatePlacement(DeviceMemory.Instance, null),
            GeminiPlacement.Host => new StatePlacement(HostMemory.Instance, null),
            GeminiPlacement.Disk => new StatePlacement(disk, null),
            _ when isHost => new StatePlacement(disk, new FirstStepTrace(room ?? SharedRoom.Host, Limit(options, isHost), isWatched: room is null)),
            // Not verified on a GPU: the library does not tell how much of a device's memory is in use.
            _ => new StatePlacement(HostMemory.Instance, new FirstStepTrace(new SharedRoom(chunkBytes), Limit(options, isHost), isWatched: false)),
        };
    }

    private static long Limit(GeminiOptions options, bool isHost)
    {
        if (options.MemoryLimitMb > 0)
            return (long)options.MemoryLimitMb << 20;
        return isHost
            ? (long)(ProcessMemory.Allowed * UsableShare)
            : throw new UserErrorException(
                "memory-limit-mb is 0, and placement auto cannot measure a GPU's memory. Set memory-limit-mb to what weights, gathered weights and states may take of it, or placement to host.");
    }
}
