using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Numerics;

namespace ColossalChat.Rlhf;

/// <summary>
/// Experience for PPO: KL penalty on every token, the answer's score on its last token, advantages, whitening over the
/// whole window, and only then the split by rank.
/// </summary>
public sealed class PpoExperienceRole : IExperienceRole
{
    private readonly PpoExperienceOptions _options;
    private readonly INodeContext _context;
    private readonly IAdvantageEstimator _estimator;
    private readonly KlController _controller;
    private readonly RewardScale _scale = new();

    /// <summary>Makes the estimator.</summary>
    public PpoExperienceRole(PpoExperienceOptions options, INodeContext context)
    {
        (_options, _context) = (options, context);
        _estimator = context.Create(options.Advantage);
        _controller = new KlController(options.KlCoefficient, options.KlTarget, options.KlHorizon);
    }

    /// <inheritdoc/>
    public ExperienceWindow Build(IReadOnlyList<ScoredRollout> window, int ranks)
    {
        var scored = ScoredRows.Of(window);
        var rows = scored.Rows;
        if (rows.Count == 0 && scored.Failed > 0)
            throw new UserErrorException($"All {scored.Failed} answers of an iteration failed to be scored, so there is nothing to learn from: {scored.FirstReason}.", ExitCode.Failed);
        if (_options.NormaliseRewards)
            _scale.Observe(rows.Select(row => row.Score));
        var (metrics, estimate, advantages) = Estimate(scored);

        // Between rollouts and training, with the device to itself, nothing should be alive but weights and states.
        metrics["sys/live_tensors"] = TorchSharp.torch.Tensor.TotalCount;
        var experience = ExperienceAssembly.Join(rows, advantages, estimate.Returns);
        if (rows.Count > 0)
            _controller.Observe(metrics["kl/ref"], rows.Count);
        return new ExperienceWindow(ExperienceAssembly.Split(experience, Groups(rows), ranks), metrics, Samples(rows));
    }

    /// <inheritdoc/>
    public ExperienceWindow Measure(IReadOnlyList<ScoredRollout> window)
    {
        var scored = ScoredRows.Of(window);
        var (metrics, _, _) = Estimate(scored);
        return new ExperienceWindow([], metrics.ToDictionary(metric => "eval/" + metric.Key, metric => metric.Value), Samples(scored.Rows));
    }

    /// <inheritdoc/>
    public void Capture(IStateWriter writer) => writer.WriteJson("experience", JsonSerializer.Serialize(new Dictionary<string, double>
    {
        ["kl-coefficient"] = _controller.Coefficient,
        ["scores"] = _scale.Count,
        ["score-mean"] = _scale.Mean,
        ["score-squares"] = _scale.SquaredDistances,
    }));

    /// <inheritdoc/>
    public void Restore(IStateReader reader)
    {
        using var document = JsonDocument.Parse(reader.ReadJson("experience"));
        var state = document.RootElement;
        _controller.Coefficient = state.GetProperty("kl-coefficient").GetDouble();
        _scale.Count = (long)state.GetProperty("scores").GetDouble();
        _scale.Mean = state.GetProperty("score-mean").GetDouble();
        _scale.SquaredDistances = state.GetProperty("score-squares").GetDouble();
    }

    private static long[] Groups(IReadOnlyList<ScoredRow> rows) => [.. rows.Select(row => row.Rollout.Prompts.PromptIds[row.Row])];

    private (Dictionary<string, double> Metrics, AdvantageEstimate Estimate, Ragged<float> Advantages) Estimate(ScoredRows scored)
    {
        var rows = scored.Rows;
        var metrics = PpoMetrics.Counts(scored);
        var nothing = Ragged.FromRows<float>(Array.Empty<float[]>());
        if (rows.Count == 0)
            return (metrics, new AdvantageEstimate(nothing, nothing), nothing);

        var rewards = Ragged.FromRows(rows.Select(row => RewardShaping.TokenRewards(
            row.LogProbs, row.ReferenceLogProbs, ShapedScore(row), _controller.Coefficient, _options.KlEstimator)));
        var values = rows.All(row => row.Values is not null) ? Ragged.FromRows(rows.Select(row => row.Values!)) : null;
        var estimate = _estimator.Estimate(new AdvantageInput(rewards, values, Groups(rows)));
        var advantages = _options.Whiten ? Whitening.Apply(estimate.Advantages) : estimate.Advantages;

        var penalty = _controller.Coefficient * rows.Average(row => row.LogProbs
            .Zip(row.ReferenceLogProbs, (own, reference) => KlEstimators.Estimate(own, reference, _options.KlEstimator))
            .Sum());
        PpoMetrics.AddAnswers(metrics, rows, rewards, penalty, _controller.Coefficient);
        PpoMetrics.AddEstimates(metrics, values, estimate, advantages);
        return (metrics, estimate, advantages);
    }

    private double ShapedScore(ScoredRow row)
    {
        var score = _options.NormaliseRewards ? _scale.Apply(row.Score) : row.Score;
        if (_options.RewardClamp > 0)
            score = Math.Clamp(score, -_options.RewardClamp, _options.RewardClamp);
        return row.FinishReason == FinishReason.Length ? score - _options.MissingEosPenalty : score;
    }

    private SampleRow[] Samples(IReadOnlyList<ScoredRow> rows)
    {
        var count = Math.Min(_options.Samples, rows.Count);
        return [.. Enumerable.Range(0, count).Select(i => rows[(int)((long)i * rows.Count / count)]).Select(Sample)];
    }

    private SampleRow Sample(ScoredRow row)
    {
        var prompts = row.Rollout.Prompts;
        var tokenizer = _context.Tokenizer(prompts.TokenizerHash);
        var response = row.Rollout.Tokens[row.Row];
        return new SampleRow(
            tokenizer.Decode(prompts.Tokens[row.Row].ToArray()),
            tokenizer.Decode(response.ToArray()),
            row.Score,
            row.Divergence,
            response.Length,
            row.FinishReason);
    }
}
