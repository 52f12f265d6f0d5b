using ColossalChat.Contracts;

namespace ColossalChat.Rlhf;

/// <summary>One answer with its scores; per-token lists hold target tokens only.</summary>
/// <param name="Rollout">Where it comes from.</param>
/// <param name="Row">Its row there.</param>
/// <param name="Targets">Positions of its target tokens within the response.</param>
/// <param name="LogProbs">Nats, at rollout.</param>
/// <param name="ReferenceLogProbs">Nats; the rollout's own when the stage has no reference.</param>
/// <param name="Values">Reward units; null when the stage has no critic.</param>
/// <param name="Score">Of the whole answer, as the reward role gave it.</param>
internal sealed record ScoredRow(
    Rollout Rollout,
    int Row,
    int[] Targets,
    float[] LogProbs,
    float[] ReferenceLogProbs,
    float[]? Values,
    double Score)
{
    public FinishReason FinishReason => Rollout.FinishReasons[Row];

    /// <summary>Log-ratio to the reference summed over the answer, nats.</summary>
    public double Divergence => LogProbs.Zip(ReferenceLogProbs, (own, reference) => (double)own - reference).Sum();
}

/// <summary>The usable answers of a window, and why others are not.</summary>
/// <param name="Rows">Usable answers in order.</param>
/// <param name="Failed">Answers that some scorer failed on.</param>
/// <param name="NotApplicable">Answers that some scorer has nothing to say about.</param>
/// <param name="Empty">Answers without a target token.</param>
/// <param name="FirstReason">Why the first of the failed ones failed; empty when none did.</param>
internal sealed record ScoredRows(IReadOnlyList<ScoredRow> Rows, int Failed, int NotApplicable, int Empty, string FirstReason)
{
    /// <summary>Sorts a window's answers into usable and not. A missing score is never taken for 0.</summary>
    public static ScoredRows Of(IReadOnlyList<ScoredRollout> window)
    {
        var rows = new List<ScoredRow>();
        var (failed, notApplicable, empty, firstReason) = (0, 0, 0, "");
        foreach (var scored in window)
        {
            for (var row = 0; row < scored.Rollout.Rows; row++)
            {
                var outcomes = scored.Scores.Values.Select(scores => scores.Outcomes[row]).ToArray();
                if (outcomes.Contains(ScoreOutcome.Failed))
                {
                    if (failed++ == 0)
                        firstReason = scored.Scores.Values.First(scores => scores.Outcomes[row] == ScoreOutcome.Failed).Reasons[row];
                }
                else if (outcomes.Contains(ScoreOutcome.NotApplicable))
                    notApplicable++;
                else if (!scored.Rollout.IsTarget[row].Span.Contains(true))
                    empty++;
                else
                    rows.Add(Read(scored, row));
            }
        }

        return new ScoredRows(rows, failed, notApplicable, empty, firstReason);
    }

    private static ScoredRow Read(ScoredRollout scored, int row)
    {
        var isTarget = scored.Rollout.IsTarget[row].ToArray();
        var targets = Enumerable.Range(0, isTarget.Length).Where(t => isTarget[t]).ToArray();
        var logProbs = Pick(scored.Rollout.LogProbs);
        return new ScoredRow(
            scored.Rollout,
            row,
            targets,
            logProbs,
            scored.Scores.TryGetValue(ScoreKind.ReferenceLogProbs, out var reference) ? Pick(reference.Values) : logProbs,
            scored.Scores.TryGetValue(ScoreKind.Values, out var values) ? Pick(values.Values) : null,
            scored.Scores.TryGetValue(ScoreKind.Rewards, out var rewards) ? rewards.Values[row].Span[0] : 0);

        float[] Pick(Ragged<float> perToken)
        {
            var all = perToken[row];
            return Array.ConvertAll(targets, t => all.Span[t]);
        }
    }
}
