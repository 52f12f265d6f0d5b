using System.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Numerics.Kernels;

// N = positions, V = vocabulary.

/// <summary>
/// What soft-max over a row of logits says about one token, and its gradient; sums in float32. Neither direction makes a
/// float32 copy of the logits.
/// </summary>
internal static class TokenScoreKernel
{
    /// <summary>Scores targets.</summary>
    /// <param name="logits">[N, V], float32 or bfloat16.</param>
    /// <param name="targets">[N] int64.</param>
    /// <param name="temperature">Logits are divided by it.</param>
    /// <param name="logProbs">[N] float32, written.</param>
    /// <param name="logSums">[N] float32, written: the logarithm of the sum of exponentials.</param>
    /// <param name="entropy">[N] float32, written, or null.</param>
    /// <param name="isArgmax">[N] bool, written, or null.</param>
    public static void Forward(Tensor logits, Tensor targets, double temperature, Tensor logProbs, Tensor logSums, Tensor? entropy, Tensor? isArgmax)
    {
        var length = (int)logits.shape[1];
        var (rows, ids, scale) = (HostRows.Of(logits, length), HostValues<long>.Of(targets), (float)(1 / temperature));
        var (p, z) = (HostValues<float>.Of(logProbs), HostValues<float>.Of(logSums));
        var (h, best) = (HostValues<float>.Of(entropy), HostValues<bool>.Of(isArgmax));
        RowLoop.For(logits.shape[0], length, length, (_, start, end, scratch) =>
        {
            for (var row = start; row < end; row++)
            {
                var x = rows.Read(row, scratch);
                var (largest, sum, moment) = Sums(x, scale, withMoment: h.Exists);
                var target = x[(int)ids[row]];
                z[row] = (largest * scale) + MathF.Log(sum);
                p[row] = (target * scale) - z[row];

                // H = log Z - sum(p x): every x was lowered by the largest before.
                if (h.Exists)
                    h[row] = MathF.Log(sum) - (moment / sum);
                if (best.Exists)
                    best[row] = target >= largest;
            }
        });
    }

    /// <summary>Gradient of log-probabilities by logits: (1 at the target - soft-max) x gradient / temperature.</summary>
    /// <param name="logits">[N, V].</param>
    /// <param name="targets">[N] int64.</param>
    /// <param name="temperature">As in forward.</param>
    /// <param name="logSums">[N] float32, from forward.</param>
    /// <param name="gradient">[N] float32.</param>
    /// <param name="gradLogits">[N, V], written.</param>
    public static void Backward(Tensor logits, Tensor targets, double temperature, Tensor logSums, Tensor gradient, Tensor gradLogits)
    {
        var length = (int)logits.shape[1];
        var (rows, to, scale) = (HostRows.Of(logits, length), HostRows.Of(gradLogits, length), (float)(1 / temperature));
        var (ids, z, g) = (HostValues<long>.Of(targets), HostValues<float>.Of(logSums), HostValues<float>.Of(gradient));
        RowLoop.For(logits.shape[0], length, 2 * length, (_, start, end, scratch) =>
        {
            for (var row = start; row < end; row++)
            {
                var x = rows.Read(row, scratch);
                var y = to.Begin(row, scratch[length..]);
                var factor = g[row] * scale;
                if (factor == 0)
                {
                    y.Clear();
                }
                else
                {
                    SoftMax(x, scale, z[row], -factor, y);
                    y[(int)ids[row]] += factor;
                }

                to.Keep(row, y);
            }
        });
    }

    // Exponentials and, when wanted, exponents times exponentials, of scaled values lowered by the largest.
    private static (float Largest, float Sum, float Moment) Sums(ReadOnlySpan<float> x, float scale, bool withMoment)
    {
        var vectors = Lanes.Of(x);
        var tail = vectors.Length * Vector<float>.Count;
        var largest = Lanes.Largest(x);
        var (sums, moments) = (Vector<float>.Zero, Vector<float>.Zero);
        for (var i = 0; i < vectors.Length; i++)
        {
            var exponent = (vectors[i] - new Vector<float>(largest)) * scale;
            var power = Exponential.Of(exponent);
            sums += power;
            if (withMoment)
                moments += power * Vector.Max(exponent, new Vector<float>(-1e4f));
        }

        var (sum, moment) = (Vector.Sum(sums), Vector.Sum(moments));
        for (var i = tail; i < x.Length; i++)
        {
            var exponent = (x[i] - largest) * scale;
            var power = MathF.Exp(exponent);
            sum += power;
            moment += power * MathF.Max(exponent, -1e4f);
        }

        return (largest, sum, moment);
    }

    private static void SoftMax(ReadOnlySpan<float> x, float scale, float logSum, float factor, Span<float> y)
    {
        var from = Lanes.Of(x);
        var to = Lanes.Into(y);
        var offset = new Vector<float>(logSum);
        for (var i = 0; i < from.Length; i++)
            to[i] = Exponential.Of((from[i] * scale) - offset) * factor;
        for (var i = from.Length * Vector<float>.Count; i < x.Length; i++)
            y[i] = MathF.Exp((x[i] * scale) - logSum) * factor;
    }
}
