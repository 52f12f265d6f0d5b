using System.Globalization;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Names of the role slots, as in the configuration and in checkpoints.</summary>
internal static class RoleSlots
{
    public const string Prompts = "prompts";
    public const string Rollout = "rollout";
    public const string Experience = "experience";
    public const string Batches = "batches";
    public const string Trainer = "trainer";

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

    /// <summary>One of several actors of a role that may be there more than once, such as <c>rollout.2</c>.</summary>
    /// <param name="role">Such as <c>rollout</c>.</param>
    /// <param name="number">From 1; never given twice in one attempt.</param>
    public static string Nth(string role, int number) => $"{role}.{number}";

    /// <summary>The role behind a slot: <c>rollout</c> of <c>rollout.2</c>, <c>trainer</c> of every rank.</summary>
    public static string RoleOf(string slot) =>
        slot.StartsWith(Trainers, StringComparison.Ordinal) ? Trainer : slot.Split('.')[0];

    /// <summary>The rank behind a trainer's slot.</summary>
    public static TrainerId TrainerOf(string slot)
    {
        var parts = slot[Trainers.Length..].Split('@');
        return new TrainerId(parts[0], parts.Length == 1 ? 0 : int.Parse(parts[1], CultureInfo.InvariantCulture));
    }

    /// <summary>True for the slots of a model's trainer, whatever the rank.</summary>
    public static bool IsRankOf(string slot, string model) =>
        slot == Trainers + model || slot.StartsWith($"{Trainers}{model}@", StringComparison.Ordinal);
}
