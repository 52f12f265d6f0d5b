using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Quickstart;

/// <summary>Draws reward, KL and losses of the three runs from their <c>metrics.jsonl</c>.</summary>
public static class TrainingCurves
{
    /// <summary>Writes the picture.</summary>
    public static void Draw(INodeContext node, StageOutcome sft, StageOutcome reward, StageOutcome ppo, string file)
    {
        var charts = new[]
        {
            new Chart("Supervised fine-tuning", "iteration", "loss (nats per token)", [Line("train/loss", sft)]),
            new Chart("Reward model", "iteration", "loss (nats per pair)", [Line("train/loss", reward)]),
            new Chart("Reward model", "iteration", "accuracy", [Line("train/acc", reward)]),
            new Chart("PPO reward", "iteration", "reward", [Line("reward/score", ppo), Line("reward/rlhf", ppo)]),
            new Chart("PPO distance to SFT", "iteration", "KL (nats per answer)", [Line("kl/ref", ppo)]),
            new Chart("PPO losses", "iteration", "loss", [Line("policy/loss", ppo), Line("value/loss", ppo)]),
        };
        node.Resolve<IChartRenderer>("png").RenderPng(charts, file);
    }

    private static ChartLine Line(string metric, StageOutcome stage)
    {
        var (x, y) = (new List<double>(), new List<double>());
        foreach (var line in File.ReadLines(Path.Combine(stage.RunFolder, "metrics.jsonl")))
        {
            using var point = JsonDocument.Parse(line);
            if (point.RootElement.GetProperty("purpose").GetString() != "train" ||
                !point.RootElement.GetProperty("metrics").TryGetProperty(metric, out var value))
                continue;
            x.Add(point.RootElement.GetProperty("iteration").GetDouble());
            y.Add(value.ValueKind == JsonValueKind.Number ? value.GetDouble() : double.NaN);
        }

        return new ChartLine(metric, x, y);
    }
}
