using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Rlhf;

// B = sequences, T = longest response.

/// <summary>Settings of <see cref="PpoClipLoss"/>; section <c>policy-loss</c> of a policy trainer.</summary>
public sealed record PpoClipOptions : ICheckedOptions
{
    /// <summary>How far the ratio may leave 1 before its gradient is cut. Above 0, below 1; default 0.2.</summary>
    public double ClipRange { get; init; } = 0.2;

    /// <summary>The same upwards, when it shall differ ("clip higher"); 0 takes clip-range. 0 or more; default 0.</summary>
    public double ClipRangeHigh { get; init; }

    /// <summary>Bounds the loss of bad tokens at this many times their advantage (dual clip, arXiv 1912.09729). 0 is off, else above 1; default 0.</summary>
    public double DualClip { get; init; }

    /// <summary>How token losses become one number; default token-mean.</summary>
    public LossAggregation Aggregation { get; init; } = LossAggregation.TokenMean;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (ClipRange is not (> 0 and < 1))
            yield return $"clip-range is {ClipRange}; it must be above 0 and below 1.";
        if (ClipRangeHigh is not >= 0)
            yield return $"clip-range-high is {ClipRangeHigh}; it must be 0 (as clip-range) or more.";
        if (DualClip is not (0 or > 1))
            yield return $"dual-clip is {DualClip}; it must be 0 (off) or above 1.";
    }
}

/// <summary>Clipped PPO surrogate (arXiv 1707.06347, eq. 7).</summary>
/// <param name="options">Settings.</param>
public sealed class PpoClipLoss(PpoClipOptions options) : IPolicyLoss
{
    // exp(20) is far beyond any clip range and far below float32's end.
    private const double LargestLogRatio = 20;

    private readonly double _high = 1 + (options.ClipRangeHigh > 0 ? options.ClipRangeHigh : options.ClipRange);

    /// <inheritdoc/>
    public ObjectiveResult Compute(PolicyLossInput input)
    {
        using var scope = NewDisposeScope();
        var isResponse = input.IsResponse;

        // Padding may hold anything, even infinities: replace it before exp, or 0 * inf is NaN in the gradient.
        var nothing = zeros_like(input.OldLogProbs);
        var logRatio = where(isResponse, input.NewLogProbs - input.OldLogProbs, nothing)
            .clamp(-LargestLogRatio, LargestLogRatio);                                        // [B, T] nats
        var advantages = where(isResponse, input.Advantages, nothing);                        // [B, T]
        var ratio = logRatio.exp();                                                           // [B, T]
        var free = -advantages * ratio;                                                       // [B, T]
        var cut = -advantages * ratio.clamp(1 - options.ClipRange, _high);                    // [B, T]
        var perToken = maximum(free, cut);                                                    // [B, T]
        if (options.DualClip > 0)
            perToken = where(advantages.lt(0), minimum(perToken, -advantages * options.DualClip), perToken);
        var weighted = perToken * where(isResponse, input.ImportanceWeights, nothing);        // [B, T]
        var loss = LossAggregations.Share(options.Aggregation, weighted, isResponse, input.Totals);

        using var noGrad = no_grad();
        var (metrics, maxima) = Measure(logRatio.detach(), ratio.detach(), cut.gt(free), input);
        return new ObjectiveResult(loss.MoveToOuterDisposeScope(), metrics, maxima);
    }

    private static (Dictionary<string, double> Metrics, Dictionary<string, double> Maxima) Measure(
        Tensor logRatio, Tensor ratio, Tensor isCut, PolicyLossInput input)
    {
        var (isResponse, count) = (input.IsResponse, Math.Max(1, input.Totals.Targets));
        var numbers = TensorData.ToFloats(stack(
        [
            MaskedStatistics.Sum(logRatio.expm1() - logRatio, isResponse),
            MaskedStatistics.Sum(isCut.to(float32), isResponse),
            MaskedStatistics.Sum(ratio, isResponse),
            MaskedStatistics.Sum((ratio - 1).square(), isResponse),
            ratio.masked_fill(isResponse.logical_not(), 0).max(),
        ]));
        return (
            new Dictionary<string, double>
            {
                ["approx_kl"] = numbers[0] / count,
                ["clip_frac"] = numbers[1] / count,
                ["ratio_mean"] = numbers[2] / count,
                ["ratio_var"] = numbers[3] / count,
            },
            new Dictionary<string, double> { ["ratio_max"] = numbers[4] });
    }
}
