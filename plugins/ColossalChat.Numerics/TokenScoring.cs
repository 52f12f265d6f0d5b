using ColossalChat.Numerics.Kernels;
using static TorchSharp.torch;

namespace ColossalChat.Numerics;

// N = positions, V = vocabulary.

/// <summary>Log-probabilities of given tokens with a gradient by the logits, in one pass over memory each way.</summary>
public sealed class TokenScoring : autograd.SingleTensorFunction<TokenScoring>
{
    /// <inheritdoc/>
    public override string Name => nameof(TokenScoring);

    /// <summary>Scores targets. The result belongs to the caller's dispose scope.</summary>
    /// <param name="logits">[N, V], float32 or bfloat16, in host memory.</param>
    /// <param name="targets">[N] int64, from 0 to below V.</param>
    /// <param name="temperature">Logits are divided by it. Above 0.</param>
    /// <param name="parts">What else is wanted; no part carries a gradient.</param>
    public static TokenScores Of(Tensor logits, Tensor targets, double temperature, TokenScoreParts parts)
    {
        using var scope = NewDisposeScope();
        var (positions, ids) = (logits.shape[0], targets.contiguous());
        var entropy = parts.HasFlag(TokenScoreParts.Entropy) ? empty([positions], float32) : null;
        var isArgmax = parts.HasFlag(TokenScoreParts.Argmax) ? empty([positions], @bool) : null;
        var side = new SideResults(entropy, isArgmax);
        var logProbs = Fused.Wants(logits)
            ? apply(logits, ids, temperature, side)
            : Forward(logits, ids, temperature, side).LogProbs;
        return new TokenScores(logProbs.MoveToOuterDisposeScope(), entropy?.MoveToOuterDisposeScope(), isArgmax?.MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (logits, targets, temperature) = ((Tensor)vars[0], (Tensor)vars[1], (double)vars[2]);
        var (logProbs, logSums) = Forward(logits, targets, temperature, (SideResults)vars[3]);
        ctx.save_for_backward([logits, targets, logSums]);
        ctx.save_data("temperature", temperature);
        return logProbs;
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var logits = saved[0].contiguous();
        var gradLogits = empty_like(logits);
        TokenScoreKernel.Backward(logits, saved[1], (double)ctx.get_data("temperature"), saved[2], grad_output.contiguous(), gradLogits);
        return [gradLogits.MoveToOuterDisposeScope(), null!, null!, null!];
    }

    private static (Tensor LogProbs, Tensor LogSums) Forward(Tensor logits, Tensor targets, double temperature, SideResults side)
    {
        using var scope = NewDisposeScope();
        var (ready, positions) = (logits.contiguous(), logits.shape[0]);
        var (logProbs, logSums) = (empty([positions], float32), empty([positions], float32));
        TokenScoreKernel.Forward(ready, targets, temperature, logProbs, logSums, side.Entropy, side.IsArgmax);
        return (logProbs.MoveToOuterDisposeScope(), logSums.MoveToOuterDisposeScope());
    }

    // Not arguments of their own: what autograd takes for inputs would be expected to have gradients.
    private sealed record SideResults(Tensor? Entropy, Tensor? IsArgmax);
}
