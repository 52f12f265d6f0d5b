using System.Text.Json;

namespace ColossalChat.EndToEndTests;

/// <summary>The README's first command, to its end.</summary>
public sealed class QuickstartTests
{
    [Fact]
    [Trait("Category", "CI")]
    public void Quickstart_trains_a_bilingual_model_that_ppo_makes_better()
    {
        using var figures = new Figures();
        var folder = Run(seed: 1);
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "figures.json")));
        var at = document.RootElement;
        double Number(string key) => at.GetProperty(key).GetDouble();
        figures.Check("Quickstart time", "training <= 7 min, all < 10 min on 2 cores", $"{Number("training_seconds"):F0} s, {Number("total_seconds"):F0} s",
            !Figures.IsTableWanted || (Number("training_seconds") <= 420 && Number("total_seconds") < 600));
        figures.Check("Quickstart held-out questions", "400", $"{Number("questions"):F0}", Number("questions") == 400);
        CheckQuality(figures, "Quickstart", at);

        var report = File.ReadAllLines(Path.Combine(folder, "report.md"));
        foreach (var heading in new[] { "## Answers in English", "## Answers in Chinese" })
        {
            var rows = report.SkipWhile(line => line != heading).Skip(4).TakeWhile(line => line.StartsWith('|')).ToArray();
            Assert.Equal(8, rows.Length);
            Assert.All(rows, row => Assert.Equal(3, row.Trim('|').Split(" | ").Count(cell => cell.Trim().Length > 0)));
        }

        Assert.True(new FileInfo(Path.Combine(folder, "curves.png")).Length > 10_000, "The picture of the curves is there.");
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [Trait("Category", "Full")]
    public void Quickstart_holds_with_other_data_and_weights(ulong seed)
    {
        using var figures = new Figures();
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(Run(seed), "figures.json")));
        CheckQuality(figures, $"Quickstart --seed {seed}", document.RootElement);
    }

    private static string Run(ulong seed)
    {
        var folder = Path.Combine(Repository.NewFolder("quickstart"), "out");
        HostProcess.Succeed(TimeSpan.FromMinutes(20), "quickstart", "--no-serve", "--seed", $"{seed}", "--out", folder);
        return folder;
    }

    private static void CheckQuality(Figures figures, string title, JsonElement at)
    {
        var accuracy = at.GetProperty("reward_model_accuracy").GetDouble();
        figures.Check($"{title} reward model, held-out pairs", ">= 0.90", $"{accuracy:F3}", accuracy >= 0.90);
        Assert.Equal(3, at.GetProperty("seeds").GetArrayLength());
        foreach (var seed in at.GetProperty("seeds").EnumerateArray())
        {
            double Of(string key) => seed.GetProperty(key).GetDouble();
            var name = $"{title}, sampling seed {Of("seed"):F0}";
            figures.Check($"{name}: SFT score", ">= 0.5", $"{Of("sft_score"):F3}", Of("sft_score") >= 0.5);
            figures.Check($"{name}: PPO beats SFT", ">= 65 % of >= 60 decided", $"{Of("ppo_win_share"):P1} of {Of("decided"):F0}", Of("ppo_win_share") >= 0.65 && Of("decided") >= 60);
            figures.Check($"{name}: score drops in neither language", "en and zh", $"en {Of("sft_score_en"):F3} to {Of("ppo_score_en"):F3}, zh {Of("sft_score_zh"):F3} to {Of("ppo_score_zh"):F3}",
                Of("ppo_score_en") >= Of("sft_score_en") && Of("ppo_score_zh") >= Of("sft_score_zh"));
        }
    }
}
