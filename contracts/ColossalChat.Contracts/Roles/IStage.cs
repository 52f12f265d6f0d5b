namespace ColossalChat.Contracts;

/// <summary>The two ways data flows. There are no others.</summary>
public enum FlowKind
{
    /// <summary>Prompts, rollouts, scores, experience, training.</summary>
    Online,

    /// <summary>A dataset's batches straight to training.</summary>
    Offline,
}

/// <summary>
/// One stage of the road (sft, reward-model, ppo): says what flows and which roles take part, and does nothing else.
/// The host drives every stage from its plan and knows no algorithm.
/// </summary>
public interface IStage
{
    /// <summary>Fixed for the life of the stage.</summary>
    StagePlan Plan { get; }
}

/// <summary>What a stage declares.</summary>
public sealed record StagePlan
{
    /// <summary>Which of the two flows.</summary>
    public required FlowKind Flow { get; init; }

    /// <summary>Models whose weights change, such as <c>policy</c> and <c>critic</c>; one trainer group each.</summary>
    public required IReadOnlyList<string> ModelsTrained { get; init; }

    /// <summary>
    /// Plugin used for a role that the configuration does not name, by role slot: <c>prompts</c>, <c>rollout</c>,
    /// <c>reference</c>, <c>critic</c>, <c>reward</c>, <c>experience</c>, <c>batches</c>, <c>trainers.MODEL</c>.
    /// </summary>
    public required IReadOnlyDictionary<string, string> DefaultRoles { get; init; }

    /// <summary>Scores every rollout must have; online only.</summary>
    public IReadOnlyList<ScoreKind> ScoresNeeded { get; init; } = [];

    /// <summary>Iterations to run; offline stages leave 0 and ask their batch source. At least 1 when online.</summary>
    public long Iterations { get; init; }

    /// <summary>Different prompts in one iteration; online only.</summary>
    public int PromptsPerIteration { get; init; }

    /// <summary>Answers to each prompt; online only. 1 or more.</summary>
    public int AnswersPerPrompt { get; init; } = 1;

    /// <summary>Sequences in one rollout batch; online only. Prompts x answers are cut into batches of this size.</summary>
    public int RowsPerBatch { get; init; }

    /// <summary>Iterations between measurements on held-out data; 0 measures at the end only, below 0 never.</summary>
    public long EvaluateEvery { get; init; }

    /// <summary>Held-out prompts of one measurement; online only. 0 measures nothing.</summary>
    public int EvaluationPrompts { get; init; }
}
