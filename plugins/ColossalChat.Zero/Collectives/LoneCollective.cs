using ColossalChat.Contracts;
using static TorchSharp.torch;

namespace ColossalChat.Zero;

/// <summary>A group of one, on any device: every sum is what there is.</summary>
internal sealed class LoneCollective(IPeerGroup group, TimeSpan deadline) : Collective(group, deadline)
{
    /// <inheritdoc/>
    protected override string? Unfit(Tensor tensor) => null;

    /// <inheritdoc/>
    protected override void Carry(CollectiveCall call, Tensor? buffer, Tensor? slice) =>
        throw new InvalidOperationException("A group of one has nobody to wait for.");
}
