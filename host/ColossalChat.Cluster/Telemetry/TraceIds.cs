using System.Buffers.Binary;
using System.Diagnostics;
using System.IO.Hashing;
using System.Text;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Names of traces that every node works out for itself: one trace for each batch of a run, and a root span in it for each
/// attempt at the batch. Nothing of it travels in messages.
/// </summary>
public static class TraceIds
{
    /// <summary>The batch's trace.</summary>
    /// <param name="run"><see cref="RunDefinition.RunId"/>, the same on all nodes.</param>
    /// <param name="batch">The batch.</param>
    public static ActivityTraceId TraceOf(string run, BatchId batch)
    {
        Span<byte> id = stackalloc byte[16];
        XxHash128.Hash(Encoding.UTF8.GetBytes($"{run}\n{batch}"), id);
        return ActivityTraceId.CreateFromBytes(id);
    }

    /// <summary>Its root span.</summary>
    /// <param name="run"><see cref="RunDefinition.RunId"/>, the same on all nodes.</param>
    /// <param name="batch">The batch.</param>
    /// <param name="epoch">The attempt of the run; a batch that is made again after going back has a root for each.</param>
    public static ActivitySpanId RootOf(string run, BatchId batch, long epoch)
    {
        Span<byte> id = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(id, XxHash3.HashToUInt64(Encoding.UTF8.GetBytes($"{run}\n{batch}"), epoch));
        return ActivitySpanId.CreateFromBytes(id);
    }

    /// <summary>What the spans of a batch hang under.</summary>
    internal static ActivityContext ContextOf(string run, BatchId batch, long epoch) =>
        new(TraceOf(run, batch), RootOf(run, batch, epoch), ActivityTraceFlags.None, isRemote: true);
}
