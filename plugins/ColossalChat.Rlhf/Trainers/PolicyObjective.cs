using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Rlhf;

// B = sequences, T = longest response, N = response tokens, V = vocabulary.

/// <summary>Feeds a policy loss from logits and experience.</summary>
/// <param name="loss">The loss.</param>
/// <param name="temperature">The rollout's; logits are divided by it as they were when drawing.</param>
/// <param name="entropyCoefficient">Entropy's worth in the loss; 0 only measures it.</param>
internal sealed class PolicyObjective(IPolicyLoss loss, double temperature, double entropyCoefficient) : IObjective
{
    public ObjectiveResult Evaluate(Tensor output, MicroBatch batch, WindowTotals totals)
    {
        using var scope = NewDisposeScope();
        var parts = entropyCoefficient > 0 ? TokenScoreParts.DifferentiableEntropy : TokenScoreParts.Entropy;
        var scores = TokenLogProbs.Compute(output, batch.Targets, temperature, parts);        // [N] each
        using var padded = new PaddedTargets(batch.TargetsPerRow, output.device);
        var columns = batch.Columns;
        var result = loss.Compute(new PolicyLossInput(
            padded.Spread(scores.LogProbs),
            padded.Spread(columns[ExperienceColumns.OldLogProbs]),
            padded.Spread(columns[ExperienceColumns.Advantages]),
            columns.TryGetValue(ExperienceColumns.ImportanceWeights, out var weights)
                ? padded.Spread(weights)
                : padded.IsResponse.to(float32),
            padded.IsResponse,
            totals));

        var entropy = scores.Entropy!.sum() / Math.Max(1, totals.Targets);
        var total = entropyCoefficient > 0 ? result.Loss - (entropy * entropyCoefficient) : result.Loss;
        return result with
        {
            Loss = total.MoveToOuterDisposeScope(),
            Metrics = new Dictionary<string, double>(result.Metrics) { ["entropy"] = TensorData.ToDouble(entropy.detach()) },
        };
    }
}
