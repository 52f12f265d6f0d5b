using ColossalChat.Contracts;
using ColossalChat.Numerics;

namespace ColossalChat.Rlhf;

/// <summary>The numbers of a window that people look at.</summary>
internal static class PpoMetrics
{
    /// <summary>Counts of usable and unusable answers.</summary>
    public static Dictionary<string, double> Counts(ScoredRows rows) => new()
    {
        ["gen/rows"] = rows.Rows.Count + rows.Failed + rows.NotApplicable + rows.Empty,
        ["reward/failed"] = rows.Failed,
        ["reward/not_applicable"] = rows.NotApplicable,
        ["gen/empty"] = rows.Empty,
    };

    /// <summary>Scores, divergence and lengths of usable answers.</summary>
    /// <param name="metrics">Takes the numbers.</param>
    /// <param name="rows">Usable answers; at least one.</param>
    /// <param name="rewards">Their token rewards.</param>
    /// <param name="penalties">Mean KL penalty of an answer, reward units.</param>
    /// <param name="coefficient">The KL coefficient used.</param>
    public static void AddAnswers(
        Dictionary<string, double> metrics, IReadOnlyList<ScoredRow> rows, Ragged<float> rewards, double penalties, double coefficient)
    {
        AddSpread(metrics, "reward/score", rows.Select(row => (float)row.Score));
        metrics["reward/rlhf"] = rewards.Values.ToArray().Sum(reward => (double)reward) / rows.Count;
        var divergence = rows.Average(row => row.Divergence);
        metrics["kl/ref"] = divergence;
        metrics["kl/ref_per_token"] = divergence * rows.Count / rows.Sum(row => row.Targets.Length);
        metrics["kl/coef"] = coefficient;
        metrics["kl/penalty"] = penalties;
        var lengths = Moments.Of(rows.Select(row => (float)row.Rollout.Tokens.LengthOf(row.Row)).ToArray());
        metrics["gen/length_mean"] = lengths.Mean;
        metrics["gen/length_min"] = lengths.Minimum;
        metrics["gen/length_max"] = lengths.Maximum;
        metrics["gen/tokens"] = lengths.Mean * lengths.Count;
        metrics["gen/eos_rate"] = rows.Average(row => row.FinishReason == FinishReason.Stop ? 1.0 : 0);
        metrics["gen/clip_ratio"] = rows.Average(row => row.FinishReason == FinishReason.Length ? 1.0 : 0);
    }

    /// <summary>Values, returns and advantages of usable answers.</summary>
    public static void AddEstimates(
        Dictionary<string, double> metrics, Ragged<float>? values, AdvantageEstimate estimate, Ragged<float> whitened)
    {
        var advantages = Moments.Of(estimate.Advantages.Values.Span);
        metrics["adv/mean"] = advantages.Mean;
        metrics["adv/std"] = advantages.StandardDeviation;
        metrics["adv/min"] = advantages.Minimum;
        metrics["adv/max"] = advantages.Maximum;
        var white = Moments.Of(whitened.Values.Span);
        metrics["adv/whitened_min"] = white.Minimum;
        metrics["adv/whitened_max"] = white.Maximum;
        metrics["return/mean"] = Moments.Of(estimate.Returns.Values.Span).Mean;
        if (values is null)
            return;
        metrics["value/mean"] = Moments.Of(values.Values.Span).Mean;
        metrics["value/explained_var"] = Moments.ExplainedVariance(values.Values.Span, estimate.Returns.Values.Span);
    }

    private static void AddSpread(Dictionary<string, double> metrics, string name, IEnumerable<float> values)
    {
        var moments = Moments.Of(values.ToArray());
        metrics[name] = moments.Mean;
        metrics[name + "_std"] = moments.StandardDeviation;
        metrics[name + "_min"] = moments.Minimum;
        metrics[name + "_max"] = moments.Maximum;
    }
}
