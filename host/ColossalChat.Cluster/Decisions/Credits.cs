using System.Collections.Immutable;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Back-pressure: a batch between prompts and experience holds one credit, and there are never more than the limit.
/// Held and free credits always add up to the limit.
/// </summary>
internal sealed record Credits(int Limit, ImmutableHashSet<BatchId> Held)
{
    public static Credits Of(int limit) => new(limit, []);

    public int Free => Limit - Held.Count;

    /// <summary>With the batch's credit taken.</summary>
    /// <exception cref="InvalidOperationException">There is none free, or the batch has one.</exception>
    public Credits Take(BatchId batch)
    {
        if (Free == 0)
            throw new InvalidOperationException($"Batch {batch} started without a credit; all {Limit} are taken.");
        if (Held.Contains(batch))
            throw new InvalidOperationException($"Batch {batch} started twice.");
        return this with { Held = Held.Add(batch) };
    }

    /// <summary>With the batch's credit free; one that holds none changes nothing, so a credit never comes back twice.</summary>
    public Credits Return(BatchId batch) => this with { Held = Held.Remove(batch) };
}
