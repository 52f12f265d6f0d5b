namespace ColossalChat.Contracts;

/// <summary>What a scoring role measures, and the shape of its answer.</summary>
public enum ScoreKind
{
    /// <summary>One value a response token, in nats, under the frozen reference policy.</summary>
    ReferenceLogProbs,

    /// <summary>One value a response token: the return expected just before that token is written, in reward units.</summary>
    Values,

    /// <summary>One value a row: the score of the whole response, in reward units.</summary>
    Rewards,
}

/// <summary>Whether a sample got a score. There is no score by default: a missing one is never 0.</summary>
public enum ScoreOutcome
{
    /// <summary>The value counts.</summary>
    Value,

    /// <summary>This scorer has nothing to say about this row; its values are ignored.</summary>
    NotApplicable,

    /// <summary>Scoring failed; the row is left out of training and counted.</summary>
    Failed,
}

/// <summary>Scores of one kind for one batch.</summary>
/// <param name="Kind">What was measured.</param>
/// <param name="Values">
/// Per response token (the shape of <see cref="Rollout.Tokens"/>) or one a row, as <see cref="ScoreKind"/> says, on every
/// row: one without a value keeps its shape and its numbers are ignored. Finite where the outcome is Value.
/// </param>
/// <param name="Outcomes">One a row.</param>
/// <param name="Reasons">Why a row failed, never empty then; empty text otherwise. One a row.</param>
public sealed record Scores(
    ScoreKind Kind,
    Ragged<float> Values,
    IReadOnlyList<ScoreOutcome> Outcomes,
    IReadOnlyList<string> Reasons)
{
    /// <summary>Scores where every row has a value; a NaN or infinity makes its row Failed.</summary>
    public static Scores Of(ScoreKind kind, Ragged<float> values)
    {
        var outcomes = new ScoreOutcome[values.Rows];
        var reasons = new string[values.Rows];
        for (var row = 0; row < values.Rows; row++)
        {
            var odd = values[row].Span.IndexOfAnyExceptFinite();
            outcomes[row] = odd < 0 ? ScoreOutcome.Value : ScoreOutcome.Failed;
            reasons[row] = odd < 0 ? "" : $"value {odd} of row {row} is {values[row].Span[odd]}; scores must be finite";
        }

        return new Scores(kind, values, outcomes, reasons);
    }
}

internal static class FiniteSearch
{
    // Index of the first NaN or infinity, -1 when there is none.
    public static int IndexOfAnyExceptFinite(this ReadOnlySpan<float> values)
    {
        for (var i = 0; i < values.Length; i++)
            if (!float.IsFinite(values[i]))
                return i;
        return -1;
    }
}

/// <summary>A rollout with all the scores its stage asked for, before advantages: what a journal keeps.</summary>
/// <param name="Rollout">What the policy wrote.</param>
/// <param name="Scores">By kind; exactly the kinds of <see cref="StagePlan.ScoresNeeded"/>.</param>
public sealed record ScoredRollout(Rollout Rollout, IReadOnlyDictionary<ScoreKind, Scores> Scores);
