namespace ColossalChat.Host.Runs;

/// <summary>Metrics that people look at first, whatever the stage. A run has some of them.</summary>
internal static class WellKnownMetrics
{
    /// <summary>Of training.</summary>
    public static IReadOnlyList<string> Trained { get; } =
        ["train/loss", "train/acc", "reward/score", "kl/ref", "policy/clip_frac", "policy/entropy", "value/explained_var", "train/grad_norm", "train/lr"];

    /// <summary>Of measurements on held-out data.</summary>
    public static IReadOnlyList<string> Measured { get; } =
        [.. Trained.Select(name => $"eval/{name}"), "eval/loss", "eval/acc", "eval/ppl"];
}
