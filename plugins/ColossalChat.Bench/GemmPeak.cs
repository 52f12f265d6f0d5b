using System.Diagnostics;
using System.Text.Json.Nodes;
using static TorchSharp.torch;

namespace ColossalChat.Bench;

// M = rows of the input.

/// <summary>
/// How fast this machine multiplies the model's own matrix shapes, nothing else in between: the yardstick of a share of
/// peak. Each shape is repeated on one weight, so small ones may stay in the processor's cache, which flatters the
/// yardstick and never the model.
/// </summary>
internal static class GemmPeak
{
    /// <summary>Rates by matrix, and over one pass through the model.</summary>
    /// <param name="GigaflopsPerSecond">All matrices, weighted by their share of the model's work.</param>
    /// <param name="ByMatrix">Each alone.</param>
    public sealed record Rates(double GigaflopsPerSecond, IReadOnlyDictionary<string, double> ByMatrix)
    {
        /// <summary>For the report.</summary>
        public JsonObject ToJson() => new(ByMatrix.Select(rate => KeyValuePair.Create(rate.Key, (JsonNode?)Math.Round(rate.Value, 1))));
    }

    /// <summary>Measures.</summary>
    /// <param name="sizes">The model.</param>
    /// <param name="rows">M.</param>
    /// <param name="precision">Element type.</param>
    /// <param name="device">Where.</param>
    /// <param name="secondsEach">Time spent on each matrix; the fastest third of its repetitions counts.</param>
    public static Rates Measure(DecoderSizes sizes, int rows, ScalarType precision, Device device, double secondsEach)
    {
        using var noGradient = no_grad();
        var rates = new Dictionary<string, double>();
        var time = 0.0;
        foreach (var matrix in sizes.Matrices)
        {
            using var scope = NewDisposeScope();
            var weight = zeros([matrix.Outputs, matrix.Inputs], precision, device).fill_(0.01);
            var input = zeros([rows, matrix.Inputs], precision, device).fill_(0.5);
            var best = Fastest(input, weight, secondsEach);
            rates[matrix.Name] = 2e-9 * rows * matrix.Outputs * matrix.Inputs / best;
            time += best * matrix.Count;
        }

        return new Rates(sizes.FlopsPerToken * rows * 1e-9 / time, rates);
    }

    private static double Fastest(Tensor input, Tensor weight, double seconds)
    {
        var times = new List<double>();
        var whole = Stopwatch.StartNew();
        while (times.Count < 6 || whole.Elapsed.TotalSeconds < seconds)
        {
            var start = Stopwatch.GetTimestamp();
            nn.functional.linear(input, weight).Dispose();
            times.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        times.Sort();
        return times.Take(Math.Max(1, times.Count / 3)).Average();
    }
}
