namespace ColossalChat.EndToEndTests;

/// <summary>A run killed in its middle (SIGKILL) and resumed ends with the same weights, bit for bit, as an unbroken one.</summary>
[Trait("Category", "CI")]
public sealed class ResumeTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(8);

    [DataFact]
    public void Supervised_fine_tuning() => KillAndResume("sft", "sft-instruct.hocon", killAfter: 10, ["policy"],
        _ => [.. InstructTests.SftSettings, "roles.batches.epochs=0.25", "roles.batches.max-tokens=160"]);

    [DataFact]
    public void Reward_model() => KillAndResume("reward-model", "reward-instruct.hocon", killAfter: 10, ["reward"],
        _ => [.. InstructTests.RewardSettings(Repository.DataPath("stories260K")), "roles.batches.epochs=5"]);

    [DataFact]
    public void Ppo() => KillAndResume("ppo", "story-ppo.hocon", killAfter: 2, ["policy", "critic"], root => StoryPpo.Settings(root,
        "stage.iterations=8", "stage.prompts-per-iteration=16", "stage.rows-per-batch=8", "stage.evaluation-prompts=8", "run.checkpoint-every=1",
        "roles.experience.kl-target=6", "roles.experience.normalise-rewards=true"));

    [DataFact]
    public void Ppo_with_lora_dropout_and_ptx() => KillAndResume("ppo", "story-ppo.hocon", killAfter: 2, ["policy", "critic"], root =>
    [
        .. StoryPpo.Settings(root).Where(setting => !setting.StartsWith("models.reference", StringComparison.Ordinal)),
        "models.reference.same-as=policy", "models.policy.adapter={ use = lora, rank = 4, dropout = 0.1 }",
        $"roles.trainers.policy.extra-losses=[{{ use = ptx, coefficient = 0.1, files = [\"{Repository.DataPath("text", "tinystories.txt")}\"], rows-per-step = 4, max-tokens = 64 }}]",
        "stage.iterations=6", "stage.prompts-per-iteration=16", "stage.rows-per-batch=8", "stage.evaluation-prompts=8", "run.checkpoint-every=1",
    ], "ppo with lora and ptx");

    private static void KillAndResume(string stage, string file, int killAfter, string[] models, Func<string, string[]> settingsIn, string? title = null)
    {
        using var figures = new Figures();
        var root = Repository.NewFolder($"resume-{stage}");
        var settings = settingsIn(root);
        var whole = TrainingRun.Run(root, "whole", stage, file, Limit, settings);

        var killed = new TrainingRun(Path.Combine(root, "killed"));
        var arguments = TrainingRun.Arguments(root, "killed", stage, file, settings);
        using (var host = HostProcess.Start(arguments))
        {
            host.WaitForCheckpoint(Path.Combine(killed.Folder, "checkpoints", $"step-{killAfter:D8}"), Limit);
            host.Kill();
        }

        Assert.False(Directory.Exists(Path.Combine(killed.Folder, "models")), "The run had ended before it was killed.");
        HostProcess.Succeed(Limit, [.. arguments, "--resume", killed.Folder]);
        var equal = models.Count(model => whole.HashOf(model) == killed.HashOf(model));
        figures.Check($"SIGKILL and resume, {title ?? stage}", "same weights bit for bit", $"{equal} of {models.Length} models equal", equal == models.Length);
    }
}
