using static TorchSharp.torch;

namespace ColossalChat.Contracts.Torch;

// n = elements, R = ranks.

/// <summary>
/// Operations over all ranks of a group on flat contiguous buffers of float32, bfloat16 or int64. Every rank calls the
/// same operations in the same order with the same sizes. Reductions add in rank order, bfloat16 in float32 with one
/// rounding at the end, so results depend neither on timing nor on which rank asks. Not safe to use from several threads.
/// </summary>
/// <remarks>
/// Each operation has a sequence number and a deadline. It throws <see cref="TimeoutException"/> naming the ranks that did
/// not come, and <see cref="IOException"/> naming those that are gone; after either the group is broken for good: every
/// later call on any rank fails at once with the first reason.
/// </remarks>
public interface ICollective : IDisposable
{
    /// <summary>This rank, from 0.</summary>
    int Rank { get; }

    /// <summary>Number of ranks, R.</summary>
    int Ranks { get; }

    /// <summary>Sums over ranks, in place.</summary>
    /// <param name="buffer">[n]; equal bits at every rank afterwards.</param>
    void AllReduce(Tensor buffer);

    /// <summary>Sums over ranks; each keeps its own slice. <paramref name="buffer"/> keeps no meaning afterwards.</summary>
    /// <param name="buffer">[n], n divisible by R.</param>
    /// <param name="ownSlice">[n / R], rank r's elements r n/R to (r+1) n/R; float32 where the buffer is bfloat16 keeps the sum unrounded.</param>
    void ReduceScatter(Tensor buffer, Tensor ownSlice);

    /// <summary>Joins all ranks' slices in rank order.</summary>
    /// <param name="ownSlice">[n / R]; may be this rank's part of <paramref name="buffer"/> itself.</param>
    /// <param name="buffer">[n], the same type.</param>
    void AllGather(Tensor ownSlice, Tensor buffer);

    /// <summary>Copies one rank's buffer to all.</summary>
    /// <param name="buffer">[n].</param>
    /// <param name="root">Whose.</param>
    void Broadcast(Tensor buffer, int root);

    /// <summary>Returns when every rank has called it.</summary>
    void Barrier();

    /// <summary>Breaks the group: operations of other ranks, now and later, fail with this reason. Safe from any thread.</summary>
    /// <param name="reason">One sentence.</param>
    void Abort(string reason);
}

/// <summary>Makes the collective of a group; registered as <c>auto</c>, <c>shared-memory</c>, <c>ring</c>, <c>nccl</c>.</summary>
public interface ICollectiveFactory
{
    /// <summary>Meets the other ranks; returns when all have called it.</summary>
    /// <param name="place">This rank's place.</param>
    /// <param name="device">Where the buffers will be.</param>
    /// <param name="context">Gives the peers.</param>
    /// <exception cref="TimeoutException">Some ranks did not come; the message names them.</exception>
    /// <exception cref="UserErrorException">This kind cannot work here, such as shared memory between machines; the message says what can.</exception>
    ICollective Create(RankPlace place, Device device, INodeContext context);
}
