using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ColossalChat.Quickstart.Data;

namespace ColossalChat.Quickstart;

/// <summary>The before-and-after table, sample answers, and the same numbers as JSON.</summary>
/// <param name="questions">Held-out questions.</param>
/// <param name="before">Sheets after supervised fine-tuning, one a seed.</param>
/// <param name="after">Sheets after PPO, one a seed.</param>
/// <param name="rewardMetrics">Last metrics of the reward model's run.</param>
/// <param name="training">Time of the three stages.</param>
/// <param name="total">Time of everything.</param>
public sealed class QuickstartReport(
    IReadOnlyList<QuickstartRow> questions,
    IReadOnlyList<ExamSheet> before,
    IReadOnlyList<ExamSheet> after,
    IReadOnlyDictionary<string, double> rewardMetrics,
    TimeSpan training,
    TimeSpan total)
{
    private const int SamplesPerLanguage = 8;

    /// <summary>Writes report.md and figures.json, and prints the report.</summary>
    public void Write(QuickstartFolder folder, TextWriter output)
    {
        var text = $"# Quickstart\n\n{Table()}\n{Samples()}";
        File.WriteAllText(folder.Report, text);
        File.WriteAllText(folder.Figures, Figures().ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
        output.WriteLine();
        output.Write(text);
    }

    private string Table()
    {
        var table = new StringBuilder();
        table.AppendLine(CultureInfo.InvariantCulture, $"Held-out questions: {questions.Count}. Score: {AnswerChecker.RightAndPolite} right and polite, {AnswerChecker.RightAndPlain} right and plain, {AnswerChecker.RightAndRude} right and rude, 0 wrong.");
        table.AppendLine(CultureInfo.InvariantCulture, $"Training took {training:m\\:ss}, everything {total:m\\:ss}. Reward model accuracy on held-out pairs: {RewardAccuracy:P1}.");
        table.AppendLine();
        table.AppendLine("| sampling seed | language | SFT score | PPO score | right SFT -> PPO | polite SFT -> PPO |");
        table.AppendLine("|---|---|---|---|---|---|");
        foreach (var (first, second) in before.Zip(after))
            foreach (var language in new string?[] { null, "en", "zh" })
                table.AppendLine(CultureInfo.InvariantCulture,
                    $"| {first.Seed} | {language ?? "both"} | {first.MeanScore(questions, language):F3} | {second.MeanScore(questions, language):F3} | {Share(first, language, c => c.IsRight):P0} -> {Share(second, language, c => c.IsRight):P0} | {Share(first, language, c => c.IsPolite):P0} -> {Share(second, language, c => c.IsPolite):P0} |");
        table.AppendLine();
        foreach (var (first, second) in before.Zip(after))
        {
            var duel = Comparison.Of(first, second);
            table.AppendLine(CultureInfo.InvariantCulture,
                $"Seed {first.Seed}: PPO beats SFT in {duel.Wins} of {duel.Decided} decided comparisons ({duel.WinShare:P1}).");
        }

        return table.ToString();
    }

    private string Samples()
    {
        var text = new StringBuilder();
        foreach (var language in new[] { "en", "zh" })
        {
            text.AppendLine().AppendLine(language == "en" ? "## Answers in English" : "## Answers in Chinese").AppendLine();
            text.AppendLine("| question | after SFT | after PPO |").AppendLine("|---|---|---|");
            foreach (var row in SampleRows(language))
                text.AppendLine(CultureInfo.InvariantCulture, $"| {Cell(questions[row].Prompt)} | {Cell(before[0].Answers[row])} | {Cell(after[0].Answers[row])} |");
        }

        return text.ToString();
    }

    // One question of each of several tasks: always the same ones, so that two runs can be compared.
    private IEnumerable<int> SampleRows(string language) =>
        Enumerable.Range(0, questions.Count)
            .Where(i => questions[i].Language == language)
            .GroupBy(i => questions[i].Task)
            .Select(task => task.First())
            .Take(SamplesPerLanguage);

    private double RewardAccuracy => rewardMetrics.GetValueOrDefault("eval/acc", double.NaN);

    private double Share(ExamSheet sheet, string? language, Func<CheckResult, bool> holds) =>
        questions.Select((question, i) => (question, check: sheet.Checks[i]))
            .Where(pair => language is null || pair.question.Language == language)
            .Average(pair => holds(pair.check) ? 1.0 : 0.0);

    private JsonObject Figures() => new()
    {
        ["questions"] = questions.Count,
        ["training_seconds"] = training.TotalSeconds,
        ["total_seconds"] = total.TotalSeconds,
        ["reward_model_accuracy"] = Finite(RewardAccuracy),
        ["temperature"] = Exam.Temperature,
        ["seeds"] = new JsonArray([.. before.Zip(after).Select(pair => SeedFigures(pair.First, pair.Second))]),
    };

    private JsonObject SeedFigures(ExamSheet first, ExamSheet second)
    {
        var duel = Comparison.Of(first, second);
        return new JsonObject
        {
            ["seed"] = first.Seed,
            ["sft_score"] = first.MeanScore(questions),
            ["ppo_score"] = second.MeanScore(questions),
            ["sft_score_en"] = first.MeanScore(questions, "en"),
            ["ppo_score_en"] = second.MeanScore(questions, "en"),
            ["sft_score_zh"] = first.MeanScore(questions, "zh"),
            ["ppo_score_zh"] = second.MeanScore(questions, "zh"),
            ["decided"] = duel.Decided,
            ["ppo_wins"] = duel.Wins,
            ["ppo_win_share"] = Finite(duel.WinShare),
        };
    }

    // JSON has no NaN: a share of nothing is null.
    private static JsonValue? Finite(double value) => double.IsFinite(value) ? JsonValue.Create(value) : null;

    private static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal).ReplaceLineEndings(" ");
}
