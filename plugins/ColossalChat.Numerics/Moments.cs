namespace ColossalChat.Numerics;

/// <summary>Count, mean, spread and range of numbers, summed in double precision in the order given.</summary>
/// <param name="Count">How many.</param>
/// <param name="Mean">0 when there are none.</param>
/// <param name="Variance">Divided by the count; 0 when there are none.</param>
/// <param name="Minimum">NaN when there are none.</param>
/// <param name="Maximum">NaN when there are none.</param>
public readonly record struct Moments(long Count, double Mean, double Variance, double Minimum, double Maximum)
{
    /// <summary>Square root of the variance.</summary>
    public double StandardDeviation => Math.Sqrt(Variance);

    /// <summary>Moments of a block of numbers; two passes, so that large means cost no digits.</summary>
    public static Moments Of(ReadOnlySpan<float> values)
    {
        if (values.IsEmpty)
            return new Moments(0, 0, 0, double.NaN, double.NaN);
        var (sum, minimum, maximum) = (0.0, double.PositiveInfinity, double.NegativeInfinity);
        foreach (var value in values)
        {
            sum += value;
            minimum = Math.Min(minimum, value);
            maximum = Math.Max(maximum, value);
        }

        var (mean, squares) = (sum / values.Length, 0.0);
        foreach (var value in values)
            squares += (value - mean) * (value - mean);
        return new Moments(values.Length, mean, squares / values.Length, minimum, maximum);
    }

    /// <summary>
    /// 1 - Var(targets - predictions) / Var(targets): 1 is a perfect critic, 0 one that knows the mean only, below 0 is
    /// harmful. 0 when the targets do not vary.
    /// </summary>
    public static double ExplainedVariance(ReadOnlySpan<float> predictions, ReadOnlySpan<float> targets)
    {
        if (predictions.Length != targets.Length)
            throw new ArgumentException($"{predictions.Length} predictions for {targets.Length} targets.", nameof(predictions));
        var residuals = new float[targets.Length];
        for (var i = 0; i < residuals.Length; i++)
            residuals[i] = targets[i] - predictions[i];
        var variance = Of(targets).Variance;
        return variance <= 1e-12 ? 0 : 1 - (Of(residuals).Variance / variance);
    }

    /// <summary>Pearson correlation from sums divided by the count; 0 when one side does not vary.</summary>
    public static double Correlation(double meanX, double meanY, double meanXX, double meanYY, double meanXY)
    {
        var spread = (meanXX - (meanX * meanX)) * (meanYY - (meanY * meanY));
        return spread <= 1e-18 ? 0 : (meanXY - (meanX * meanY)) / Math.Sqrt(spread);
    }
}
