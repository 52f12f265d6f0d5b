using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Zero;

/// <summary>Meets the ranks, then asks what they have in common.</summary>
internal abstract class CollectiveFactory(CollectiveOptions options) : ICollectiveFactory
{
    protected TimeSpan Deadline => options.Deadline;

    /// <inheritdoc/>
    public ICollective Create(RankPlace place, Device device, INodeContext context)
    {
        if (device.type == TorchSharp.DeviceType.META)
            return new MetaCollective(place);
        if (Refusal(place, device) is { } refusal)
            throw new UserErrorException(refusal);
        var group = context.Peers.Join(place, options.Deadline);
        try
        {
            return place.Ranks == 1 ? new LoneCollective(group, options.Deadline) : Make(group, device);
        }
        catch
        {
            group.Dispose();
            throw;
        }
    }

    /// <summary>Why this kind cannot work there, and what can; null when it may.</summary>
    protected virtual string? Refusal(RankPlace place, Device device) => device.type == TorchSharp.DeviceType.CPU ? null
        : $"Group '{place.Group}' has its buffers on {device}; this collective works on the CPU. Choose nccl or auto.";

    /// <summary>Makes the collective, which owns the group from then on.</summary>
    protected abstract ICollective Make(IPeerGroup group, Device device);

    /// <summary>Shared memory of either sort; null when the ranks have none in common.</summary>
    protected ICollective? ShareMemory(IPeerGroup group)
    {
        const string name = "collective";
        if (group.SharesAddressSpace)
            return group.SharedSegment(name, ProgressBoard.BytesFor(group.Place.Ranks), Deadline) is { } board ? new AddressSpaceCollective(group, board, Deadline) : null;
        return group.SharedSegment(name, SharedMemoryCollective.SegmentBytes(group.Place.Ranks), Deadline) is { } segment
            ? new SharedMemoryCollective(group, segment, Deadline)
            : null;
    }
}

/// <summary>NCCL on GPUs, shared memory on one machine, else the ring.</summary>
internal sealed class AutoCollectiveFactory(CollectiveOptions options) : CollectiveFactory(options)
{
    /// <inheritdoc/>
    protected override string? Refusal(RankPlace place, Device device) => device.type == TorchSharp.DeviceType.CUDA ? null : base.Refusal(place, device);

    /// <inheritdoc/>
    protected override ICollective Make(IPeerGroup group, Device device) =>
        device.type == TorchSharp.DeviceType.CUDA ? new NcclCollective(group, device, Deadline) : ShareMemory(group) ?? new RingCollective(group, Deadline);
}

/// <summary>Threads of one process, or processes of one machine.</summary>
internal sealed class SharedMemoryCollectiveFactory(CollectiveOptions options) : CollectiveFactory(options)
{
    /// <inheritdoc/>
    protected override ICollective Make(IPeerGroup group, Device device) => ShareMemory(group)
        ?? throw new UserErrorException(
            $"The ranks of group '{group.Place.Group}' have no memory in common: they run on several machines, or /dev/shm is full. Choose ring or auto.");
}

/// <summary>Ranks anywhere.</summary>
internal sealed class RingCollectiveFactory(CollectiveOptions options) : CollectiveFactory(options)
{
    /// <inheritdoc/>
    protected override ICollective Make(IPeerGroup group, Device device) => new RingCollective(group, Deadline);
}

/// <summary>GPUs.</summary>
internal sealed class NcclCollectiveFactory(CollectiveOptions options) : CollectiveFactory(options)
{
    /// <inheritdoc/>
    protected override string? Refusal(RankPlace place, Device device) => device.type == TorchSharp.DeviceType.CUDA ? null
        : $"Group '{place.Group}' has its buffers on {device}; NCCL works on CUDA devices. Choose shared-memory, ring or auto.";

    /// <inheritdoc/>
    protected override ICollective Make(IPeerGroup group, Device device) => new NcclCollective(group, device, Deadline);
}
