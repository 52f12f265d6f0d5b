using System.Globalization;
using System.Text.Json;

namespace ColossalChat.EndToEndTests;

/// <summary>Two capabilities picked by name: PTX keeps the language, LoRA trains a sliver of the weights.</summary>
[Trait("Category", "Full")]
public sealed class PtxAndLoraTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(12);

    [DataFact]
    public void Ptx_keeps_the_language_and_most_of_the_reward()
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("ptx");
        var without = TrainingRun.Run(root, "without-ptx", "ppo", "story-ppo.hocon", Limit, StoryPpo.Settings(root, Ptx(0)));
        var with = TrainingRun.Run(root, "with-ptx", "ppo", "story-ppo.hocon", Limit, StoryPpo.Settings(root, Ptx(0.1)));

        var (start, kept, lost) = (Perplexity(Repository.DataPath("stories260K")), Perplexity(with.Model("policy")), Perplexity(without.Model("policy")));
        figures.Check("Perplexity with PTX", "within 5 % of the start", $"{start:F3} to {kept:F3} ({kept / start - 1:P1})", Math.Abs(kept / start - 1) <= 0.05);
        figures.Check("Perplexity without PTX", "a larger loss than with it", $"{start:F3} to {lost:F3} ({lost / start - 1:P1})", lost > kept);
        var (riseWith, riseWithout) = (Rise(with), Rise(without));
        figures.Check("Reward rise with PTX", ">= 80 % of the rise without", $"{riseWith:F3} of {riseWithout:F3} ({riseWith / riseWithout:P0})", riseWith >= 0.8 * riseWithout);

        var png = Path.Combine(root, "compare.png");
        HostProcess.Succeed(Limit, "run", "compare", without.Folder, with.Folder, "--key", "policy/ptx_loss", "--key", "reward/score", "--key", "kl/ref", "--png", png);
        Assert.True(new FileInfo(png).Length > 10_000, "Both curves in one PNG.");
        Assert.True(without.Curve("policy/ptx_loss").Count > 10 && with.Curve("policy/ptx_loss").Count > 10, "What the text costs is logged with PTX and without.");
    }

    [DataFact]
    public void Lora_reaches_the_reward_and_merges_back()
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("lora");
        var run = TrainingRun.Run(root, "lora", "ppo", "story-ppo.hocon", Limit, [.. StoryPpo.Settings(root)
            .Where(setting => !setting.StartsWith("models.reference", StringComparison.Ordinal)),
            "models.reference.same-as=policy", "models.policy.adapter={ use = lora, rank = 8, alpha = 16 }", "roles.trainers.policy.learning-rate=3e-3"]);
        var reward = run.Curve("eval/reward/score", "evaluate")[^1].Value;
        figures.Check("LoRA rank 8, held-out reward", ">= 0.70", $"{reward:F3}", reward >= 0.70);

        var adapter = new TrainedAdapter(Repository.DataPath("stories260K"), run.Model("policy")).Compare();
        figures.Check("LoRA as trained: merged equals adapter-on", "1e-5 of the log-probability", $"exported {adapter.Exported:E1}, merged in place {adapter.Merged:E1}; the adapter moves them by up to {adapter.Effect:F1}",
            adapter.Exported <= 1e-5 && adapter.Merged <= 1e-5 && adapter.Effect > 0.1);
        figures.Check("LoRA as trained: un-merged base", "bit-equal", $"{adapter.EqualTensors} of {adapter.Tensors} tensors", adapter.EqualTensors == adapter.Tensors);
    }

    // A coefficient of 0 is PPO alone, bit for bit, and logs what the text costs.
    private static string Ptx(double coefficient) => string.Create(CultureInfo.InvariantCulture,
        $"roles.trainers.policy.extra-losses=[{{ use = ptx, coefficient = {coefficient}, files = [\"{Repository.DataPath("text", "tinystories.txt")}\"], rows-per-step = 16, max-tokens = 128 }}]");

    private static double Rise(TrainingRun run)
    {
        var rewards = run.Curve("eval/reward/score", "evaluate");
        return rewards[^1].Value - rewards[0].Value;
    }

    private static double Perplexity(string model) =>
        JsonDocument.Parse(HostProcess.Succeed(Limit, "eval", "perplexity", "--model", model, "--text", Repository.DataPath("text", "tinystories.txt"), "--json"))
            .RootElement.GetProperty("perplexity").GetDouble();
}
