using System.Collections.Immutable;
using ColossalChat.Contracts;

namespace ColossalChat.Rlhf;

/// <summary>Experience whose stale tokens are corrected for.</summary>
/// <param name="Experience">With importance weights, and old log-probabilities of the proximal policy where a token is stale.</param>
/// <param name="Metrics">Of the stale tokens: <c>train/importance_mean</c>, <c>train/importance_max</c>, <c>train/importance_capped_share</c>.</param>
public sealed record CorrectedExperience(Experience Experience, IReadOnlyDictionary<string, double> Metrics);

/// <summary>
/// Decoupled PPO (Hilton et al., arXiv 2110.00641, as AReaL uses it, arXiv 2505.24298): the policy that bounds an update, the
/// proximal one, need not be the one that wrote. It is the policy as an iteration begins; what separates it from the writer is
/// an importance weight, min(cap, exp(log p_proximal - log p_behaviour)), a constant of the loss.
/// </summary>
public static class StaleExperience
{
    // exp(20) is far above any sensible cap and far below float32's end.
    private const double LargestLogRatio = 20;

    /// <summary>True when older weights wrote some of the window.</summary>
    public static bool IsStale(Experience experience) => experience.Columns.ContainsKey(ExperienceColumns.Staleness);

    /// <summary>Corrects for staleness; tokens of the newest weights keep what they have and weigh 1.</summary>
    /// <param name="experience">With staleness and the writers' log-probabilities.</param>
    /// <param name="proximal">Log-probabilities under the policy as the iteration begins, nats; one a target, in row order.</param>
    /// <param name="cap">Largest weight; at least 1.</param>
    /// <exception cref="ArgumentException">There is not one log-probability a target.</exception>
    public static CorrectedExperience Correct(Experience experience, IReadOnlyList<float> proximal, double cap)
    {
        var isTarget = experience.IsTarget.Values.Span;
        var staleness = experience.Columns[ExperienceColumns.Staleness].Values.Span;
        var old = experience.Columns[ExperienceColumns.OldLogProbs].Values.ToArray();
        var weights = new float[old.Length];
        var (next, stale, sum, largest, capped) = (0, 0L, 0.0, 0.0, 0L);
        for (var i = 0; i < old.Length; i++)
        {
            if (!isTarget[i])
                continue;
            if (next == proximal.Count)
                break;
            var now = proximal[next++];
            weights[i] = 1;
            if (staleness[i] <= 0)
                continue;
            var ratio = Math.Exp(Math.Min(now - (double)old[i], LargestLogRatio));
            (weights[i], old[i]) = ((float)Math.Min(cap, ratio), now);
            (stale, sum, largest, capped) = (stale + 1, sum + weights[i], Math.Max(largest, weights[i]), capped + (ratio > cap ? 1 : 0));
        }

        if (next != proximal.Count || next != experience.TargetTokens)
            throw new ArgumentException($"There are {proximal.Count} log-probabilities for {experience.TargetTokens} targets.", nameof(proximal));
        var columns = experience.Columns.ToImmutableDictionary()
            .SetItem(ExperienceColumns.OldLogProbs, new Ragged<float>(experience.Tokens.Offsets, old))
            .SetItem(ExperienceColumns.ImportanceWeights, new Ragged<float>(experience.Tokens.Offsets, weights));
        return new CorrectedExperience(experience with { Columns = columns }, stale == 0 ? ImmutableDictionary<string, double>.Empty : new Dictionary<string, double>
        {
            ["train/importance_mean"] = sum / stale,
            ["train/importance_max"] = largest,
            ["train/importance_capped_share"] = (double)capped / stale,
        });
    }
}
