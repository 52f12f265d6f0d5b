using ColossalChat.Contracts;

namespace ColossalChat.Rlhf;

/// <summary>PPO (Schulman et al., arXiv 1707.06347) on a policy and a critic; section <c>stage</c>.</summary>
public sealed record PpoStageOptions : ICheckedOptions
{
    /// <summary>Rounds of rollout and training. 1 or more; default 100.</summary>
    public long Iterations { get; init; } = 100;

    /// <summary>Different prompts in each iteration. 1 or more; default 64.</summary>
    public int PromptsPerIteration { get; init; } = 64;

    /// <summary>Answers to each prompt. 1 to 65536; default 1.</summary>
    public int AnswersPerPrompt { get; init; } = 1;

    /// <summary>Sequences of one rollout batch. 1 or more; default 64.</summary>
    public int RowsPerBatch { get; init; } = 64;

    /// <summary>Iterations between measurements on held-out prompts; 0 at the end only, below 0 never. Default 20.</summary>
    public long EvaluateEvery { get; init; } = 20;

    /// <summary>Held-out prompts of one measurement; 0 measures nothing. Default 64.</summary>
    public int EvaluationPrompts { get; init; } = 64;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Iterations < 1)
            yield return $"iterations is {Iterations}; it must be 1 or more.";
        if (PromptsPerIteration < 1)
            yield return $"prompts-per-iteration is {PromptsPerIteration}; it must be 1 or more.";
        if (AnswersPerPrompt is < 1 or > 65536)
            yield return $"answers-per-prompt is {AnswersPerPrompt}; it must be from 1 to 65536.";
        if (RowsPerBatch < 1)
            yield return $"rows-per-batch is {RowsPerBatch}; it must be 1 or more.";
        if (EvaluationPrompts < 0)
            yield return $"evaluation-prompts is {EvaluationPrompts}; it must be 0 (off) or more.";
    }

    /// <summary>What the stage declares.</summary>
    public StagePlan ToPlan() => new()
    {
        Flow = FlowKind.Online,
        ModelsTrained = ["policy", "critic"],
        ScoresNeeded = [ScoreKind.ReferenceLogProbs, ScoreKind.Values, ScoreKind.Rewards],
        Iterations = Iterations,
        PromptsPerIteration = PromptsPerIteration,
        AnswersPerPrompt = AnswersPerPrompt,
        RowsPerBatch = RowsPerBatch,
        EvaluateEvery = EvaluateEvery,
        EvaluationPrompts = EvaluationPrompts,
        DefaultRoles = new Dictionary<string, string>
        {
            ["prompts"] = "prompt-source",
            ["rollout"] = "rollout",
            ["reference"] = "reference",
            ["critic"] = "critic",
            ["reward"] = "reward-model",
            ["experience"] = "ppo-experience",
            ["trainers.policy"] = "ppo-policy",
            ["trainers.critic"] = "ppo-critic",
        },
    };
}
