using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Rlhf;

// B = sequences, T = longest response.

/// <summary>How losses of tokens become one number; always divided by totals of the whole window.</summary>
public enum LossAggregation
{
    /// <summary>Mean over all tokens of the window: long answers weigh more.</summary>
    TokenMean,

    /// <summary>Mean over answers of the mean over their tokens.</summary>
    SequenceMean,

    /// <summary>Mean over answers of the sum over their tokens.</summary>
    SequenceSum,
}

/// <summary>Carries out a <see cref="LossAggregation"/>.</summary>
public static class LossAggregations
{
    /// <summary>A micro-batch's share of the window's loss.</summary>
    /// <param name="aggregation">How.</param>
    /// <param name="perToken">[B, T] float32.</param>
    /// <param name="isResponse">[B, T] bool; elsewhere the losses may be anything.</param>
    /// <param name="totals">Totals of the window.</param>
    /// <returns>[].</returns>
    public static Tensor Share(LossAggregation aggregation, Tensor perToken, Tensor isResponse, WindowTotals totals)
    {
        if (aggregation == LossAggregation.TokenMean)
            return MaskedStatistics.Share(perToken, isResponse, totals.Targets);
        using var scope = NewDisposeScope();
        var rows = MaskedStatistics.RowSums(perToken, isResponse);                            // [B]
        if (aggregation == LossAggregation.SequenceMean)
            rows = rows / isResponse.sum(1).clamp_min(1);
        return (rows.sum() / Math.Max(1, totals.Rows)).MoveToOuterDisposeScope();
    }
}
