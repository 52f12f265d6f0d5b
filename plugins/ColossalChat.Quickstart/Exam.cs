using ColossalChat.Contracts;
using ColossalChat.Quickstart.Data;

namespace ColossalChat.Quickstart;

/// <summary>Answers of one model to all held-out questions under one sampling seed.</summary>
/// <param name="Seed">The sampling seed.</param>
/// <param name="Answers">One a question.</param>
/// <param name="Checks">What the checker says of each.</param>
public sealed record ExamSheet(ulong Seed, IReadOnlyList<string> Answers, IReadOnlyList<CheckResult> Checks)
{
    /// <summary>Mean score over chosen questions, 0 to 1.</summary>
    public double MeanScore(IReadOnlyList<QuickstartRow> questions, string? language = null) =>
        questions.Select((question, i) => (question, Checks[i].Score))
            .Where(pair => language is null || pair.question.Language == language)
            .Average(pair => pair.Score);
}

/// <summary>Puts the held-out questions to a model. The checker sees answers only here, never in training.</summary>
/// <param name="seed">Words and openings that the checker needs.</param>
/// <param name="questions">Held-out questions.</param>
/// <param name="node">Opens models.</param>
public sealed class Exam(QuickstartSeed seed, IReadOnlyList<QuickstartRow> questions, INodeContext node)
{
    /// <summary>Temperature of the answers: a chat's, neither greedy nor wild.</summary>
    public const double Temperature = 0.7;

    private const int MaxNewTokens = 40;
    private const int BatchSize = 100;

    private readonly AnswerChecker _checker = new(seed);

    /// <summary>Answers all questions once for each sampling seed.</summary>
    public IReadOnlyList<ExamSheet> Sit(string modelFolder, IReadOnlyList<ulong> samplingSeeds, CancellationToken cancel)
    {
        using var lease = node.Devices.Take("cpu", cancel);
        using var model = node.OpenModel(modelFolder, new ModelOpenOptions());
        return [.. samplingSeeds.Select(samplingSeed => Sit(model, samplingSeed, cancel))];
    }

    private ExamSheet Sit(IOpenModel model, ulong samplingSeed, CancellationToken cancel)
    {
        var template = model.Text!.Template;
        var requests = questions.Select((question, i) => new GenerationRequest
        {
            Prompt = template.Encode([new ChatMessage(ChatRole.User, question.Prompt)], forAnswer: true).Ids,
            MaxNewTokens = MaxNewTokens,
            Sampling = new SamplingOptions { Temperature = Temperature },
            StopIds = template.StopIds,
            Key = new RandomKey(samplingSeed, RandomPurpose.Sampling, Prompt: i),
        });
        var answers = requests.Chunk(BatchSize).SelectMany(batch => model.Generator.Generate(batch, cancel)).Select(answer => answer.Text.Trim()).ToArray();
        return new ExamSheet(samplingSeed, answers, [.. answers.Select((answer, i) => _checker.Check(questions[i], answer))]);
    }
}

/// <summary>Two sheets of one seed, question by question.</summary>
/// <param name="Wins">Questions where the second scored higher.</param>
/// <param name="Losses">Questions where the first scored higher.</param>
public sealed record Comparison(int Wins, int Losses)
{
    /// <summary>Questions where the scores differ.</summary>
    public int Decided => Wins + Losses;

    /// <summary>Share of decided questions that the second won; NaN when none is decided.</summary>
    public double WinShare => (double)Wins / Decided;

    /// <summary>Compares two sheets.</summary>
    public static Comparison Of(ExamSheet before, ExamSheet after)
    {
        var pairs = before.Checks.Zip(after.Checks).ToArray();
        return new Comparison(
            pairs.Count(pair => pair.Second.Score > pair.First.Score),
            pairs.Count(pair => pair.Second.Score < pair.First.Score));
    }
}
