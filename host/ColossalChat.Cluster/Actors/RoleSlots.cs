using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Names of the role slots, as in the configuration and in checkpoints.</summary>
internal static class RoleSlots
{
    public const string Prompts = "prompts";
    public const string Rollout = "rollout";
    public const string Experience = "experience";
    public const string Batches = "batches";

    /// <summary>How the slots of all trainers begin.</summary>
    public const string Trainers = "trainers.";

    public static string Of(ScoreKind kind) => kind switch
    {
        ScoreKind.ReferenceLogProbs => "reference",
        ScoreKind.Values => "critic",
        ScoreKind.Rewards => "reward",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Unknown kind of score."),
    };

    public static string Of(TrainerId trainer) => $"{Trainers}{trainer}";

    /// <summary>True for the slots of a model's trainer, whatever the rank.</summary>
    public static bool IsRankOf(string slot, string model) =>
        slot == Trainers + model || slot.StartsWith($"{Trainers}{model}@", StringComparison.Ordinal);
}
