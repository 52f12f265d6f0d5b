using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Rlhf;

// N = response tokens.

/// <summary>Settings of <see cref="ValueClipLoss"/>; section <c>value-loss</c> of a critic trainer.</summary>
public sealed record ValueClipOptions : ICheckedOptions
{
    /// <summary>How far a value may leave the one at rollout before its gradient is cut, in reward units. 0 is off; default 0.2.</summary>
    public double ClipRange { get; init; } = 0.2;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (ClipRange is not >= 0)
            yield return $"clip-range is {ClipRange}; it must be 0 (off) or more.";
    }
}

/// <summary>Half the squared error, the larger one of free and clipped value; mean over all tokens of the window.</summary>
/// <param name="options">Settings.</param>
public sealed class ValueClipLoss(ValueClipOptions options) : IValueLoss
{
    /// <inheritdoc/>
    public ObjectiveResult Compute(ValueLossInput input)
    {
        using var scope = NewDisposeScope();
        var total = Math.Max(1, input.Totals.Targets);
        var free = (input.Values - input.Returns).square();                                   // [N]
        if (options.ClipRange == 0)
            return new ObjectiveResult((free.sum() / (2.0 * total)).MoveToOuterDisposeScope(), new Dictionary<string, double> { ["clip_frac"] = 0 });

        var step = (input.Values - input.OldValues).clamp(-options.ClipRange, options.ClipRange);
        var cut = (input.OldValues + step - input.Returns).square();                          // [N]
        var loss = maximum(free, cut).sum() / (2.0 * total);
        using var noGrad = no_grad();
        var share = TensorData.ToDouble(cut.gt(free).sum()) / total;
        return new ObjectiveResult(loss.MoveToOuterDisposeScope(), new Dictionary<string, double> { ["clip_frac"] = share });
    }
}
