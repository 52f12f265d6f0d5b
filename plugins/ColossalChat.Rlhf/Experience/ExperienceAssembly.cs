using ColossalChat.Contracts;

namespace ColossalChat.Rlhf;

/// <summary>Joins prompts, responses and per-target numbers into experience, and splits it by rank.</summary>
internal static class ExperienceAssembly
{
    /// <summary>Whole sequences with their columns; 0 where there is no target.</summary>
    /// <param name="rows">Answers.</param>
    /// <param name="advantages">Per target token, a row for each answer.</param>
    /// <param name="returns">Shape of the advantages.</param>
    public static Experience Join(IReadOnlyList<ScoredRow> rows, Ragged<float> advantages, Ragged<float> returns)
    {
        var columns = new Dictionary<string, Ragged<float>>
        {
            [ExperienceColumns.OldLogProbs] = Column(rows, (row, _) => row.LogProbs),
            [ExperienceColumns.ReferenceLogProbs] = Column(rows, (row, _) => row.ReferenceLogProbs),
            [ExperienceColumns.Advantages] = Column(rows, (_, i) => advantages[i].ToArray()),
            [ExperienceColumns.Returns] = Column(rows, (_, i) => returns[i].ToArray()),
            [ExperienceColumns.Temperature] = Ragged.Scalars<float>(rows.Select(row => (float)row.Rollout.Temperature).ToArray()),
        };
        if (rows.All(row => row.Values is not null))
            columns[ExperienceColumns.OldValues] = Column(rows, (row, _) => row.Values!);
        var staleness = rows.Select(StalenessOf).ToArray();
        if (staleness.Any(row => row.AsSpan().ContainsAnyExcept(0f)))
            columns[ExperienceColumns.Staleness] = Column(rows, (_, i) => staleness[i]);
        return new Experience(
            Ragged.FromRows(rows.Select(row => row.Rollout.Sequence(row.Row))),
            Ragged.FromRows(rows.Select(IsTarget)),
            columns);
    }

    /// <summary>Neighbouring rows for each rank, as even as whole groups allow; answers to one prompt stay together.</summary>
    public static IReadOnlyList<Experience> Split(Experience experience, IReadOnlyList<long> groups, int ranks)
    {
        if (ranks == 1)
            return [experience];
        var picks = Enumerable.Range(0, ranks).Select(_ => new List<int>()).ToArray();
        var rank = 0;
        for (var row = 0; row < experience.Rows; row++)
        {
            var isNewGroup = row == 0 || groups[row] != groups[row - 1];
            while (isNewGroup && rank < ranks - 1 && (long)row * ranks >= (long)experience.Rows * (rank + 1))
                rank++;
            picks[rank].Add(row);
        }

        return [.. picks.Select(experience.Pick)];
    }

    // Versions count updates from 1, the weights before training, so an iteration begins with the version of its number. 0 is
    // that of a role which was never told of any weights: nothing is known of its age.
    private static float[] StalenessOf(ScoredRow row)
    {
        var (versions, newest) = (row.Rollout.WeightVersions[row.Row], row.Rollout.Batch.Iteration);
        return [.. row.Targets.Select(target => versions.Span[target] is > 0 and var version ? (float)(newest - version) : 0)];
    }

    private static Ragged<float> Column(IReadOnlyList<ScoredRow> rows, Func<ScoredRow, int, float[]> perTarget) =>
        Ragged.FromRows(rows.Select((row, i) =>
        {
            var prompt = row.Rollout.Prompts.Tokens.LengthOf(row.Row);
            var values = new float[prompt + row.Rollout.Tokens.LengthOf(row.Row)];
            var source = perTarget(row, i);
            for (var k = 0; k < source.Length; k++)
                values[prompt + row.Targets[k]] = source[k];
            return values;
        }));

    private static bool[] IsTarget(ScoredRow row)
    {
        var prompt = row.Rollout.Prompts.Tokens.LengthOf(row.Row);
        var isTarget = new bool[prompt + row.Rollout.Tokens.LengthOf(row.Row)];
        row.Rollout.IsTarget[row.Row].Span.CopyTo(isTarget.AsSpan(prompt));
        return isTarget;
    }
}
