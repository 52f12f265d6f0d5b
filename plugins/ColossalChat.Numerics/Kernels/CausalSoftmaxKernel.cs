using System.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Numerics.Kernels;

// R = rows of scores, S = keys.

/// <summary>Where a block of queries lies among the keys.</summary>
/// <param name="Start">Position of its first query.</param>
/// <param name="Length">Queries; rows of scores repeat them for every head.</param>
/// <param name="Scale">Factor on scores, usually 1 / sqrt(head size).</param>
internal readonly record struct QueryBlock(int Start, int Length, float Scale)
{
    /// <summary>Keys that a row sees: those up to its own position.</summary>
    public int Visible(long row) => Start + (int)(row % Length) + 1;
}

/// <summary>Soft-max over the keys that a query may see, and its gradient, in place; sums in float32.</summary>
internal static class CausalSoftmaxKernel
{
    /// <summary>Scores become probabilities.</summary>
    /// <param name="scores">[.., S], of R rows; overwritten with probabilities, 0 for keys out of sight.</param>
    /// <param name="logSums">[R] float32, written: logarithm of the sum of exponentials of scaled scores.</param>
    /// <param name="block">Which queries the rows are.</param>
    public static void Forward(Tensor scores, Tensor logSums, QueryBlock block)
    {
        var length = (int)scores.shape[^1];
        var (rows, sums) = (HostRows.Of(scores, length), HostValues<float>.Of(logSums));
        RowLoop.For(scores.numel() / length, length, length, (_, first, end, scratch) =>
        {
            for (var row = first; row < end; row++)
            {
                var visible = block.Visible(row);
                rows.Read(row, visible, scratch);
                var values = rows.Begin(row, scratch)[..visible];
                sums[row] = Normalise(values, block.Scale);
                rows.KeepFirst(row, values);
            }
        });
    }

    /// <summary>Builds probabilities again, and turns their gradient into that of the scores before scaling.</summary>
    /// <param name="scores">[.., S], of R rows, before soft-max; overwritten with probabilities.</param>
    /// <param name="gradient">[.., S], by probabilities; overwritten with the gradient by scores.</param>
    /// <param name="logSums">[R] float32, from forward.</param>
    /// <param name="block">As in forward.</param>
    public static void Backward(Tensor scores, Tensor gradient, Tensor logSums, QueryBlock block)
    {
        var length = (int)scores.shape[^1];
        var (rows, gradients, sums) = (HostRows.Of(scores, length), HostRows.Of(gradient, length), HostValues<float>.Of(logSums));
        RowLoop.For(scores.numel() / length, length, 2 * length, (_, first, end, scratch) =>
        {
            for (var row = first; row < end; row++)
            {
                var visible = block.Visible(row);
                rows.Read(row, visible, scratch);
                gradients.Read(row, visible, scratch[length..]);
                var values = rows.Begin(row, scratch)[..visible];
                var slopes = gradients.Begin(row, scratch[length..])[..visible];
                BackwardRow(values, slopes, block.Scale, sums[row]);
                rows.KeepFirst(row, values);
                gradients.KeepFirst(row, slopes);
            }
        });
    }

    private static float Normalise(Span<float> x, float scale)
    {
        var vectors = Lanes.Into(x);
        var tail = Lanes.Tail(x);
        var largest = Lanes.Largest(x);
        var sums = Vector<float>.Zero;
        for (var i = 0; i < vectors.Length; i++)
        {
            vectors[i] = Exponential.Of((vectors[i] - new Vector<float>(largest)) * scale);
            sums += vectors[i];
        }

        var sum = Vector.Sum(sums);
        for (var i = tail; i < x.Length; i++)
            sum += x[i] = MathF.Exp((x[i] - largest) * scale);
        var share = 1 / sum;
        for (var i = 0; i < vectors.Length; i++)
            vectors[i] *= share;
        for (var i = tail; i < x.Length; i++)
            x[i] *= share;
        return (largest * scale) + MathF.Log(sum);
    }

    // With p = soft-max and g its gradient: d score = scale p (g - sum(p g)).
    private static void BackwardRow(Span<float> x, Span<float> g, float scale, float logSum)
    {
        var vectors = Lanes.Into(x);
        var slopes = Lanes.Into(g);
        var tail = Lanes.Tail(x);
        var (offset, products) = (new Vector<float>(logSum), Vector<float>.Zero);
        for (var i = 0; i < vectors.Length; i++)
        {
            vectors[i] = Exponential.Of((vectors[i] * scale) - offset);
            products += vectors[i] * slopes[i];
        }

        var product = Vector.Sum(products);
        for (var i = tail; i < x.Length; i++)
        {
            x[i] = MathF.Exp((x[i] * scale) - logSum);
            product += x[i] * g[i];
        }

        var mean = new Vector<float>(product);
        for (var i = 0; i < vectors.Length; i++)
            slopes[i] = vectors[i] * (slopes[i] - mean) * scale;
        for (var i = tail; i < x.Length; i++)
            g[i] = x[i] * (g[i] - product) * scale;
    }
}
