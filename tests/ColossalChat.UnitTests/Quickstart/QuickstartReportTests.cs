using System.Text.Json;
using ColossalChat.Quickstart;
using ColossalChat.Quickstart.Data;
using Xunit;

namespace ColossalChat.UnitTests.Quickstart;

[Trait("Category", "CI")]
public sealed class QuickstartReportTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("quickstart-report").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void Eight_answers_per_language_of_both_stages_stand_side_by_side()
    {
        var seed = QuickstartSeed.Load();
        var questions = new TaskGenerator(seed, 1).HeldOut().ToList();
        var folder = QuickstartFolder.Create(Path.Combine(_root, "out"));
        using var printed = new StringWriter();

        new QuickstartReport(questions, [Sheet("sft")], [Sheet("ppo")], new Dictionary<string, double> { ["eval/acc"] = 0.93 }, TimeSpan.FromSeconds(61), TimeSpan.FromSeconds(62))
            .Write(folder, printed);

        var report = File.ReadAllText(folder.Report);
        Assert.Contains(report, printed.ToString(), StringComparison.Ordinal);
        foreach (var (heading, language) in new[] { ("## Answers in English", "en"), ("## Answers in Chinese", "zh") })
        {
            var table = report[report.IndexOf(heading, StringComparison.Ordinal)..].Split("\n\n")[1].TrimEnd('\n').Split('\n');
            Assert.Equal("| question | after SFT | after PPO |", table[0]);
            var rows = table[2..].Select(row => row.Trim('|', ' ').Split(" | ")).ToArray();
            Assert.Equal(8, rows.Length);
            foreach (var row in rows)
            {
                var at = questions.FindIndex(question => question.Prompt == row[0]);
                Assert.Equal(language, questions[at].Language);
                Assert.Equal([$"sft {at}", $"ppo {at}"], row[1..]);
            }

            Assert.Equal(8, rows.Select(row => questions.First(question => question.Prompt == row[0]).Task).Distinct().Count());
        }

        ExamSheet Sheet(string stage) => new(1, [.. questions.Select((_, i) => $"{stage} {i}")], [.. questions.Select((question, i) => new CheckResult(i % 2, i % 2 == 1, false, false))]);
    }

    [Fact]
    public void Every_seed_is_in_the_table_and_the_figures_count_what_was_decided()
    {
        var seed = QuickstartSeed.Load();
        var questions = new TaskGenerator(seed, 1).HeldOut().Where((_, i) => i % 100 == 0).ToList();
        var folder = QuickstartFolder.Create(Path.Combine(_root, "out"));
        ExamSheet Sheet(ulong samplingSeed, params double[] scores) => new(samplingSeed, ["a", "b", "c", "d"], [.. scores.Select(score => new CheckResult(score, score > 0, score == 1, false))]);

        new QuickstartReport(questions, [Sheet(1, 0, 0.7, 1, 0), Sheet(2, 1, 1, 1, 1)], [Sheet(1, 1, 1, 0.7, 0), Sheet(2, 1, 1, 1, 1)], new Dictionary<string, double>(), default, default)
            .Write(folder, TextWriter.Null);

        var report = File.ReadAllText(folder.Report);
        Assert.Contains("| 1 | both | 0.425 | 0.675 |", report, StringComparison.Ordinal);
        Assert.Contains("| 2 | zh | 1.000 | 1.000 |", report, StringComparison.Ordinal);
        Assert.Contains("Seed 1: PPO beats SFT in 2 of 3 decided comparisons", report, StringComparison.Ordinal);
        using var figures = JsonDocument.Parse(File.ReadAllText(folder.Figures));
        var seeds = figures.RootElement.GetProperty("seeds");
        Assert.Equal((3, 2), (seeds[0].GetProperty("decided").GetInt32(), seeds[0].GetProperty("ppo_wins").GetInt32()));
        Assert.Equal(JsonValueKind.Null, seeds[1].GetProperty("ppo_win_share").ValueKind);
        Assert.Equal(JsonValueKind.Null, figures.RootElement.GetProperty("reward_model_accuracy").ValueKind);
    }
}
