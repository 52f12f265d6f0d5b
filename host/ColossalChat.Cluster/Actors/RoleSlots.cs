using System.Globalization;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Names of the role slots, as in the configuration and in checkpoints.</summary>
public static class RoleSlots
{
    /// <summary>The prompt source.</summary>
    public const string Prompts = "prompts";

    /// <summary>The policy's rollouts.</summary>
    public const string Rollout = "rollout";

    /// <summary>Makes experience of scored rollouts.</summary>
    public const string Experience = "experience";

    /// <summary>A dataset's batches.</summary>
    public const string Batches = "batches";

    /// <summary>The role of every rank of every trained model.</summary>
    public const string Trainer = "trainer";

    /// <summary>How the slots of all trainers begin.</summary>
    public const string Trainers = "trainers.";

    /// <summary>The scorer of a kind.</summary>
    public static string Of(ScoreKind kind) => kind switch
    {
        ScoreKind.ReferenceLogProbs => "reference",
        ScoreKind.Values => "critic",
        ScoreKind.Rewards => "reward",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Unknown kind of score."),
    };

    /// <summary>A rank of a model's trainer.</summary>
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

    /// <summary>True for two ranks of one model's trainer.</summary>
    public static bool AreRanksOfOne(string slot, string other) =>
        RoleOf(slot) == Trainer && RoleOf(other) == Trainer && TrainerOf(slot).Model == TrainerOf(other).Model;

    /// <summary>
    /// Tells which roles' states a slot's role reads. However many ranks there were, each finds its part in what all of them
    /// wrote.
    /// </summary>
    internal static Func<string, bool> IsNeededBy(string slot) => RoleOf(slot) == Trainer
        ? role => IsRankOf(role, TrainerOf(slot).Model)
        : role => role == slot;
}
