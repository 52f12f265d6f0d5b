using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// What the contract promises of a role's answer. It is asked where the answer comes from and not where it is used, so
/// that the role that broke its promise is the one that is named.
/// </summary>
internal static class Promises
{
    /// <summary>What is wrong with a rollout, in one sentence; null when nothing is.</summary>
    /// <param name="rollout">The role's answer.</param>
    /// <param name="prompts">What it was asked to answer.</param>
    public static string? BrokenBy(Rollout rollout, PromptBatch prompts)
    {
        if (rollout.Batch != prompts.Batch)
            return $"It answered batch {rollout.Batch}; {prompts.Batch} was asked for.";
        if (rollout.Rows != prompts.Tokens.Rows || rollout.Prompts.Tokens.Rows != prompts.Tokens.Rows || rollout.FinishReasons.Count != prompts.Tokens.Rows)
            return $"It gave {rollout.Rows} rows of tokens, {rollout.Prompts.Tokens.Rows} prompts and {rollout.FinishReasons.Count} finish reasons "
                + $"for {prompts.Tokens.Rows} prompts; each must have one a prompt.";
        if (!(rollout.Temperature > 0 && double.IsFinite(rollout.Temperature)))
            return $"It gave Temperature {rollout.Temperature}; it must be above 0 and finite.";
        return OddShape(nameof(Rollout.LogProbs), rollout.LogProbs, rollout)
            ?? OddShape(nameof(Rollout.IsTarget), rollout.IsTarget, rollout)
            ?? OddShape(nameof(Rollout.WeightVersions), rollout.WeightVersions, rollout)
            ?? Enumerable.Range(0, rollout.Rows).Select(row => OddNumber(nameof(Rollout.LogProbs), rollout.LogProbs, row)).FirstOrDefault(odd => odd is not null);
    }

    /// <summary>What is wrong with scores, in one sentence; null when nothing is.</summary>
    /// <param name="scores">The role's answer.</param>
    /// <param name="kind">The kind that the stage needs from this role.</param>
    /// <param name="rollout">What it was asked to score.</param>
    public static string? BrokenBy(Scores scores, ScoreKind kind, Rollout rollout)
    {
        if (scores.Kind != kind)
            return $"It gave {scores.Kind}; the stage needs {kind} from it.";
        if (scores.Values.Rows != rollout.Rows || scores.Outcomes.Count != rollout.Rows || scores.Reasons.Count != rollout.Rows)
            return $"It gave {scores.Values.Rows} rows of values, {scores.Outcomes.Count} outcomes and {scores.Reasons.Count} reasons "
                + $"for {rollout.Rows} rows.";
        return OddScoreShape(scores, rollout)
            ?? Enumerable.Range(0, rollout.Rows).Select(row => OddOutcome(scores, row)).FirstOrDefault(odd => odd is not null);
    }

    /// <summary>What is wrong with experience, in one sentence; null when nothing is.</summary>
    public static string? BrokenBy(ExperienceWindow built) => built.PerRank
        .SelectMany(share => share.Columns, (share, column) => (column.Key, column.Value))
        .Select(column => Enumerable.Range(0, column.Value.Rows).Select(row => OddNumber(column.Key, column.Value, row)).FirstOrDefault(odd => odd is not null))
        .FirstOrDefault(odd => odd is not null);

    // A row without a value keeps the shape too: whoever joins the parts takes rows by their offsets.
    private static string? OddScoreShape(Scores scores, Rollout rollout)
    {
        if (scores.Kind != ScoreKind.Rewards)
            return OddShape(nameof(Scores.Values), scores.Values, rollout);
        var odd = FirstRow(rollout.Rows, row => scores.Values.LengthOf(row) != 1);
        return odd < 0 ? null : $"Row {odd} of its Values has {scores.Values.LengthOf(odd)} numbers; {ScoreKind.Rewards} are one a row.";
    }

    private static string? OddOutcome(Scores scores, int row) => scores.Outcomes[row] switch
    {
        ScoreOutcome.Value => OddNumber(nameof(Scores.Values), scores.Values, row),
        ScoreOutcome.Failed when string.IsNullOrEmpty(scores.Reasons[row]) => $"Row {row} is {ScoreOutcome.Failed} without a reason.",
        _ => null,
    };

    private static string? OddShape<T>(string name, Ragged<T> perToken, Rollout rollout)
    {
        if (perToken.HasShapeOf(rollout.Tokens))
            return null;
        if (perToken.Rows != rollout.Rows)
            return $"Its {name} has {perToken.Rows} rows for {rollout.Rows} answers.";
        var odd = FirstRow(rollout.Rows, row => perToken.LengthOf(row) != rollout.Tokens.LengthOf(row));
        return $"Row {odd} of its {name} has length {perToken.LengthOf(odd)}, and the answer has {rollout.Tokens.LengthOf(odd)} tokens "
            + $"after a prompt of {rollout.Prompts.Tokens.LengthOf(odd)}; {name} must have one entry a response token.";
    }

    private static string? OddNumber(string name, Ragged<float> values, int row)
    {
        var numbers = values[row].Span;
        for (var i = 0; i < numbers.Length; i++)
            if (!float.IsFinite(numbers[i]))
                return $"Number {i} of row {row} of its {name} is {numbers[i]}; it must be finite.";
        return null;
    }

    private static int FirstRow(int rows, Func<int, bool> isOdd) =>
        Enumerable.Range(0, rows).Where(isOdd).DefaultIfEmpty(-1).First();
}
