using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Numerics;

// N = target tokens of the micro-batch, V = vocabulary.

/// <summary>
/// Mean cross-entropy over a window's target tokens, nats; reads [N, V] logits. Metric: <c>accuracy</c>, the share of
/// tokens foreseen.
/// </summary>
public sealed class TokenCrossEntropy : IObjective
{
    /// <summary>It has no state.</summary>
    public static readonly TokenCrossEntropy Instance = new();

    private TokenCrossEntropy()
    {
    }

    /// <inheritdoc/>
    public ObjectiveResult Evaluate(Tensor output, MicroBatch batch, WindowTotals totals)
    {
        using var scope = NewDisposeScope();
        var scores = TokenLogProbs.Compute(output, batch.Targets, parts: TokenScoreParts.Argmax);         // [N] nats
        var loss = scores.LogProbs.sum().neg() / totals.Targets;                                           // []
        var foreseen = scores.IsArgmax!.sum().item<long>();
        return new ObjectiveResult(
            loss.MoveToOuterDisposeScope(),
            new Dictionary<string, double> { ["accuracy"] = (double)foreseen / totals.Targets });
    }
}
