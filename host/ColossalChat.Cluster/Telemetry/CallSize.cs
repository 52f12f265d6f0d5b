using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>What a call worked on; 0 is unknown.</summary>
/// <param name="Rows">Sequences.</param>
/// <param name="Tokens">Tokens; of a rollout those that were written.</param>
/// <param name="Bytes">Bytes of weights.</param>
internal readonly record struct CallSize(long Rows, long Tokens, long Bytes = 0)
{
    public static CallSize Of(Experience experience) => new(experience.Rows, experience.Tokens.Values.Length);

    /// <summary>What its result tells.</summary>
    public static CallSize Of(object? result) => result switch
    {
        PromptBatch prompts => new(prompts.Tokens.Rows, prompts.Tokens.Values.Length),
        Rollout rollout => new(rollout.Rows, rollout.Tokens.Values.Length),
        Scores scores => new(scores.Outcomes.Count, scores.Values.Values.Length),
        ExperienceWindow window => Sum(window.PerRank),
        IReadOnlyList<Experience> perRank => Sum(perRank),
        WeightsPublication publication => new(0, 0, publication.Blob?.Bytes ?? 0),
        _ => default,
    };

    private static CallSize Sum(IReadOnlyList<Experience> perRank) =>
        new(perRank.Sum(experience => (long)experience.Rows), perRank.Sum(experience => (long)experience.Tokens.Values.Length));
}
