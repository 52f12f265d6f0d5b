using System.Collections.Immutable;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>What of a window need not be made again, and how it joins what is made.</summary>
internal static class KnownBatches
{
    /// <summary>
    /// Parts that may be left out of a window without changing anything else. A role with state must be called for every
    /// batch, and in the same order, or its state would be another one afterwards.
    /// </summary>
    /// <param name="parts">What the journal has, by shard.</param>
    /// <param name="facts">What each role says about itself, by slot.</param>
    public static ImmutableSortedDictionary<int, BatchParts> Usable(
        ImmutableSortedDictionary<int, BatchParts> parts, IReadOnlyDictionary<string, RoleFacts> facts)
    {
        bool HasState(string slot) => facts.Any(role => role.Value.HasState && RoleSlots.RoleOf(role.Key) == slot);
        if (HasState(RoleSlots.Rollout))
            return parts.Clear();
        var stateful = Enum.GetValues<ScoreKind>().Where(kind => HasState(RoleSlots.Of(kind))).ToHashSet();
        var known = parts.Where(batch => batch.Value.Rollout is not null);
        if (stateful.Count > 0)
            known = known.TakeWhile((batch, position) => batch.Key == position);
        return known.ToImmutableSortedDictionary(batch => batch.Key, batch => batch.Value with { Scores = batch.Value.Scores.RemoveRange(stateful) });
    }

    /// <summary>Tells the user.</summary>
    public static string Describe(long iteration, ImmutableSortedDictionary<int, BatchParts> known, int batches) =>
        $"Iteration {iteration}: {known.Count} of {batches} rollouts and {known.Sum(batch => batch.Value.Scores.Count)} of their scores are taken from the journal.";

    /// <summary>Sends what a batch has to where it would have come from its role, and asks for the scores it lacks.</summary>
    /// <param name="flow">Sends it.</param>
    /// <param name="batch">Which.</param>
    /// <param name="window">Its window, with the scorers of this batch.</param>
    /// <param name="parts">What it has; the rollout at least.</param>
    /// <param name="needed">Kinds of scores in the order of the route's scorers.</param>
    public static void Send(FlowContext flow, BatchId batch, Window window, BatchParts parts, IReadOnlyList<ScoreKind> needed)
    {
        var rollout = parts.Rollout!;
        for (var i = 0; i < needed.Count; i++)
            if (!parts.Scores.ContainsKey(needed[i]))
                flow.Post(window.Route.Scorers[i], new ScoreRollout(batch, window, rollout));
        flow.Post(window.Route.Experience, new RolloutDone(batch, window, rollout, TimeSpan.Zero));
        foreach (var scores in parts.Scores.Values)
            flow.Post(window.Route.Experience, new RolloutScored(batch, window, scores, TimeSpan.Zero));
    }
}
