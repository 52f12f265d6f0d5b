namespace ColossalChat.Contracts;

/// <summary>
/// Sequences ready for a trainer. Online stages make it from scored rollouts, offline ones from a dataset.
/// </summary>
/// <param name="Tokens">Whole sequences, prompt and response.</param>
/// <param name="IsTarget">True on tokens that carry loss; shape of <paramref name="Tokens"/>. Never true on the first token.</param>
/// <param name="Columns">
/// Numbers by name (<see cref="ExperienceColumns"/>), each with the shape of <paramref name="Tokens"/> (0 where not a
/// target) or one value a row.
/// </param>
public sealed record Experience(
    Ragged<int> Tokens,
    Ragged<bool> IsTarget,
    IReadOnlyDictionary<string, Ragged<float>> Columns)
{
    /// <summary>Number of sequences.</summary>
    public int Rows => Tokens.Rows;

    /// <summary>Number of tokens that carry loss.</summary>
    public long TargetTokens
    {
        get
        {
            var count = 0L;
            foreach (var isTarget in IsTarget.Values.Span)
                count += isTarget ? 1 : 0;
            return count;
        }
    }

    /// <summary>Chosen rows in the order given, copied.</summary>
    public Experience Pick(IReadOnlyList<int> rows) => new(
        Tokens.Pick(rows),
        IsTarget.Pick(rows),
        Columns.ToDictionary(column => column.Key, column => column.Value.Pick(rows)));
}

/// <summary>Names of <see cref="Experience.Columns"/>.</summary>
public static class ExperienceColumns
{
    /// <summary>Per token, nats: under the weights and distribution that wrote it.</summary>
    public const string OldLogProbs = "old-log-probs";

    /// <summary>Per token, nats: under the reference policy.</summary>
    public const string ReferenceLogProbs = "reference-log-probs";

    /// <summary>Per token, reward units: the critic's value at rollout.</summary>
    public const string OldValues = "old-values";

    /// <summary>Per token; in standard deviations once whitened.</summary>
    public const string Advantages = "advantages";

    /// <summary>Per token, reward units: the critic's target.</summary>
    public const string Returns = "returns";

    /// <summary>Per token: truncated importance weight of a stale sample; absent or 1 when on-policy.</summary>
    public const string ImportanceWeights = "importance-weights";

    /// <summary>
    /// Per token, in updates: how much older the weights that wrote it are than those that are trained. Of a whole window, on
    /// all ranks, or of none of it; absent when all of it is on-policy.
    /// </summary>
    public const string Staleness = "staleness";

    /// <summary>One a row: the temperature its log-probabilities were taken at (<see cref="Rollout.Temperature"/>); absent means 1.</summary>
    public const string Temperature = "temperature";

    /// <summary>One a row: the pair a sequence belongs to, as a whole number. Rows 2i and 2i + 1 are chosen and rejected.</summary>
    public const string Pair = "pair";
}
