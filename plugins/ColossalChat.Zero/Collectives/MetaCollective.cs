using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Zero;

/// <summary>
/// A rank on device <c>meta</c>, whose tensors have sizes and no numbers: nobody else is there, and there is nothing to
/// carry. Whoever predicts memory makes engines with it.
/// </summary>
internal sealed class MetaCollective(RankPlace place) : ICollective
{
    /// <inheritdoc/>
    public int Rank => place.Rank;

    /// <inheritdoc/>
    public int Ranks => place.Ranks;

    /// <inheritdoc/>
    public void AllReduce(Tensor buffer)
    {
    }

    /// <inheritdoc/>
    public void ReduceScatter(Tensor buffer, Tensor ownSlice)
    {
    }

    /// <inheritdoc/>
    public void AllGather(Tensor ownSlice, Tensor buffer)
    {
    }

    /// <inheritdoc/>
    public void Broadcast(Tensor buffer, int root)
    {
    }

    /// <inheritdoc/>
    public void Barrier()
    {
    }

    /// <inheritdoc/>
    public void Abort(string reason)
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }
}
