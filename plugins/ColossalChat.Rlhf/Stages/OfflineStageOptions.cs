using ColossalChat.Contracts;

namespace ColossalChat.Rlhf;

/// <summary>Supervised fine-tuning; section <c>stage</c>. How long it runs is the batch source's affair.</summary>
public sealed record SftStageOptions
{
    /// <summary>Name of the trained model in the <c>models</c> section; default policy.</summary>
    public string Model { get; init; } = "policy";

    /// <summary>Updates between measurements on held-out data; 0 at the end only, below 0 never. Default 0.</summary>
    public long EvaluateEvery { get; init; }

    /// <summary>What the stage declares.</summary>
    public StagePlan ToPlan() => OfflinePlan.Of(Model, "sft-batches", "sft-trainer", EvaluateEvery);
}

/// <summary>Reward model training; section <c>stage</c>. How long it runs is the batch source's affair.</summary>
public sealed record RewardModelStageOptions
{
    /// <summary>Name of the trained model in the <c>models</c> section; default reward.</summary>
    public string Model { get; init; } = "reward";

    /// <summary>Updates between measurements on held-out pairs; 0 at the end only, below 0 never. Default 0.</summary>
    public long EvaluateEvery { get; init; }

    /// <summary>What the stage declares.</summary>
    public StagePlan ToPlan() => OfflinePlan.Of(Model, "preference-batches", "reward-trainer", EvaluateEvery);
}

internal static class OfflinePlan
{
    public static StagePlan Of(string model, string batches, string trainer, long evaluateEvery) => new()
    {
        Flow = FlowKind.Offline,
        ModelsTrained = [model],
        DefaultRoles = new Dictionary<string, string> { ["batches"] = batches, [$"trainers.{model}"] = trainer },
        EvaluateEvery = evaluateEvery,
    };
}
