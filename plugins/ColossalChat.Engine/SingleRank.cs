using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Engine;

/// <summary>A group of one rank: every sum is already complete.</summary>
public sealed class SingleRank : ICollective
{
    /// <inheritdoc/>
    public int Rank => 0;

    /// <inheritdoc/>
    public int Ranks => 1;

    /// <inheritdoc/>
    public void AllReduce(Tensor buffer) => ArgumentNullException.ThrowIfNull(buffer);

    /// <inheritdoc/>
    public void ReduceScatter(Tensor buffer, Tensor ownSlice) => Copy(buffer, ownSlice);

    /// <inheritdoc/>
    public void AllGather(Tensor ownSlice, Tensor buffer) => Copy(ownSlice, buffer);

    /// <inheritdoc/>
    public void Broadcast(Tensor buffer, int root) => ArgumentOutOfRangeException.ThrowIfNotEqual(root, 0);

    /// <inheritdoc/>
    public void Barrier()
    {
        // The only rank is here.
    }

    /// <inheritdoc/>
    public void Abort(string reason)
    {
        // Nobody else has to hear it.
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Nothing is held.
    }

    private static void Copy(Tensor from, Tensor to)
    {
        using var noGrad = no_grad();
        using var written = to.copy_(from);
    }
}
