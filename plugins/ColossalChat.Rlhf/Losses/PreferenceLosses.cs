using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Rlhf;

// P = pairs.

/// <summary>-log sigmoid(chosen - rejected), as InstructGPT trains reward models (arXiv 2203.02155).</summary>
public sealed class LogSigmoidLoss : IPreferenceLoss
{
    /// <inheritdoc/>
    public Tensor Compute(PreferenceLossInput input)
    {
        using var scope = NewDisposeScope();
        var perPair = -nn.functional.logsigmoid(input.Chosen - input.Rejected);               // [P]
        return (perPair.sum() / Math.Max(1, input.TotalPairs)).MoveToOuterDisposeScope();
    }
}

/// <summary>log(1 + exp(rejected - chosen)), Anthropic's form (arXiv 2112.00861); the same function, computed as a soft-plus.</summary>
public sealed class LogExpLoss : IPreferenceLoss
{
    /// <inheritdoc/>
    public Tensor Compute(PreferenceLossInput input)
    {
        using var scope = NewDisposeScope();
        var difference = input.Rejected - input.Chosen;                                       // [P]

        // max(x, 0) + log(1 + exp(-|x|)) neither overflows nor loses small losses.
        var perPair = difference.clamp_min(0) + (-difference.abs()).exp().log1p();            // [P]
        return (perPair.sum() / Math.Max(1, input.TotalPairs)).MoveToOuterDisposeScope();
    }
}
