using System.IO.Hashing;
using System.Runtime.InteropServices;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Tells two rollouts of one batch apart. A batch that was lost is written again by others, and where weights may be stale or
/// machines differ, differently: scores of one must never meet the answers of the other.
/// </summary>
internal static class RolloutMark
{
    /// <summary>A hash of tokens, their versions and log-probabilities; never 0.</summary>
    public static long Of(Rollout rollout)
    {
        var hash = new XxHash3();
        hash.Append(MemoryMarshal.AsBytes(rollout.Tokens.Values.Span));
        hash.Append(MemoryMarshal.AsBytes(rollout.WeightVersions.Values.Span));
        hash.Append(MemoryMarshal.AsBytes(rollout.LogProbs.Values.Span));
        return (long)hash.GetCurrentHashAsUInt64() | 1;
    }
}
