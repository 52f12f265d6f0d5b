using ColossalChat.Contracts;

namespace ColossalChat.Numerics;

/// <summary>Whitening over all rows of a window at once, before it is split by rank.</summary>
public static class Whitening
{
    /// <summary>Mean 0 and standard deviation 1 over all values.</summary>
    /// <param name="values">Counting values only.</param>
    /// <param name="shiftMean">False keeps the mean and only scales.</param>
    /// <param name="unbiased">Divides the variance by n - 1 instead of n.</param>
    /// <param name="epsilon">Added to the standard deviation; keeps a window of equal values at 0.</param>
    public static Ragged<float> Apply(Ragged<float> values, bool shiftMean = true, bool unbiased = false, double epsilon = 1e-8)
    {
        var source = values.Values.Span;
        var moments = Moments.Of(source);
        var variance = unbiased && moments.Count > 1 ? moments.Variance * moments.Count / (moments.Count - 1) : moments.Variance;
        var (scale, back) = (1 / (Math.Sqrt(variance) + epsilon), shiftMean ? 0 : moments.Mean);
        var result = new float[source.Length];
        for (var i = 0; i < result.Length; i++)
            result[i] = (float)(((source[i] - moments.Mean) * scale) + back);
        return new Ragged<float>(values.Offsets, result);
    }
}
