using static TorchSharp.torch;

namespace ColossalChat.Numerics;

/// <summary>
/// Means over chosen elements. Elements outside may hold anything, NaN included: they are replaced before the sum, never
/// multiplied by 0, so neither the value nor the gradient sees them.
/// </summary>
public static class MaskedStatistics
{
    /// <summary>Sum over chosen elements.</summary>
    /// <param name="values">Any shape, float.</param>
    /// <param name="isCounted">Same shape, bool.</param>
    /// <returns>[].</returns>
    public static Tensor Sum(Tensor values, Tensor isCounted)
    {
        using var scope = NewDisposeScope();
        return where(isCounted, values, zeros_like(values)).sum().MoveToOuterDisposeScope();
    }

    /// <summary>Sum over chosen elements of each row.</summary>
    /// <param name="values">[B, T] float.</param>
    /// <param name="isCounted">[B, T] bool.</param>
    /// <returns>[B].</returns>
    public static Tensor RowSums(Tensor values, Tensor isCounted)
    {
        using var scope = NewDisposeScope();
        return where(isCounted, values, zeros_like(values)).sum(1).MoveToOuterDisposeScope();
    }

    /// <summary>A micro-batch's share of a window's mean: the sum over chosen elements divided by the window's total.</summary>
    /// <param name="values">Any shape, float.</param>
    /// <param name="isCounted">Same shape, bool.</param>
    /// <param name="total">Elements counted in the whole window; at least 1.</param>
    /// <returns>[].</returns>
    public static Tensor Share(Tensor values, Tensor isCounted, long total)
    {
        using var scope = NewDisposeScope();
        return (Sum(values, isCounted) / Math.Max(1, total)).MoveToOuterDisposeScope();
    }
}
