using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Rlhf;

/// <summary>Settings of the SFT trainer; section <c>roles.trainers.policy</c>.</summary>
public sealed record SftTrainerOptions : TrainerOptions
{
    /// <summary>Name of the trained model; default policy.</summary>
    public override string Model { get; init; } = "policy";

    /// <summary>Full learning rate. Above 0; default 1e-4.</summary>
    public override double LearningRate { get; init; } = 1e-4;

    /// <summary>Default: cosine after a warm-up of 3 % of the run.</summary>
    public override ScheduleOptions Schedule { get; init; } = new() { Shape = ScheduleShape.Cosine, WarmUpShare = 0.03 };
}

/// <summary>Supervised fine-tuning: cross-entropy on target tokens, mean over all target tokens of a window.</summary>
public sealed class SftTrainer : ModelTrainer
{
    private readonly OfflineSteps _steps;

    /// <summary>Borrows the model and makes its engine.</summary>
    public SftTrainer(SftTrainerOptions options, INodeContext context)
        : base(options, context, needsValueHead: false) =>
        _steps = new OfflineSteps(Trained, HeadPlacement.PredictTargets);

    /// <inheritdoc/>
    public override int Begin(TrainRequest request) => _steps.Begin(request, request.GroupTargetTokens > 0);

    /// <inheritdoc/>
    public override bool Compute(int step, CancellationToken cancel) => _steps.Compute(TokenObjective.Instance, cancel);

    /// <inheritdoc/>
    public override void Finish(int step, bool apply) => _steps.Finish(apply);

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, double> End() => _steps.End();

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel)
    {
        var metrics = _steps.Evaluate(TokenObjective.Instance, heldOut, cancel);
        if (metrics.TryGetValue("eval/loss", out var loss))
            metrics["eval/ppl"] = Math.Exp(loss);
        return metrics;
    }

    // N = target tokens, V = vocabulary.
    private sealed class TokenObjective : IObjective
    {
        public static readonly TokenObjective Instance = new();

        public ObjectiveResult Evaluate(Tensor output, MicroBatch batch, WindowTotals totals)
        {
            using var scope = NewDisposeScope();
            var scores = TokenLogProbs.Compute(
                output, batch.Targets, parts: TokenScoreParts.Entropy | TokenScoreParts.Argmax);
            var count = Math.Max(1, totals.Targets);
            var loss = -scores.LogProbs.sum() / count;
            using var noGrad = no_grad();
            var numbers = TensorData.ToFloats(stack([scores.IsArgmax!.sum().to(float32), scores.Entropy!.sum()]));
            return new ObjectiveResult(
                loss.MoveToOuterDisposeScope(),
                new Dictionary<string, double> { ["token_accuracy"] = numbers[0] / count, ["entropy"] = numbers[1] / count });
        }
    }
}
