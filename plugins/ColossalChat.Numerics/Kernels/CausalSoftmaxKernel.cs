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

/// <summary>
/// Soft-max over the keys that a query may see, and its gradient, in place, on bfloat16; sums in float32. Rows are filled up
/// to whole vectors with scores of minus infinity: one number computed alone costs as much as a vector.
/// </summary>
internal static class CausalSoftmaxKernel
{
    // What one conversion to or from bfloat16 takes.
    private static readonly int s_step = 2 * Vector<float>.Count;

    /// <summary>Scores become probabilities.</summary>
    /// <param name="scores">[.., S] bfloat16, of R rows; overwritten with probabilities, 0 for keys out of sight.</param>
    /// <param name="logSums">[R] float32, written: logarithm of the sum of exponentials of scaled scores.</param>
    /// <param name="block">Which queries the rows are.</param>
    public static void Forward(Tensor scores, Tensor logSums, QueryBlock block)
    {
        var length = (int)scores.shape[^1];
        var (rows, sums) = (HostRows.Of(scores, length), HostValues<float>.Of(logSums));
        RowLoop.For(scores.numel() / length, length, Padded(length), (_, first, end, scratch) =>
        {
            for (var row = first; row < end; row++)
            {
                var values = Open(rows, row, block.Visible(row), float.NegativeInfinity, scratch);
                sums[row] = Normalise(values, block.Scale);
                rows.KeepFirst(row, values[..Math.Min(length, values.Length)]);
            }
        });
    }

    /// <summary>Builds probabilities again, and turns their gradient into that of the scores before scaling.</summary>
    /// <param name="scores">[.., S] bfloat16, of R rows, before soft-max; overwritten with probabilities.</param>
    /// <param name="gradient">[.., S] bfloat16, by probabilities; overwritten with the gradient by scores.</param>
    /// <param name="logSums">[R] float32, from forward.</param>
    /// <param name="block">As in forward.</param>
    public static void Backward(Tensor scores, Tensor gradient, Tensor logSums, QueryBlock block)
    {
        var length = (int)scores.shape[^1];
        var (rows, gradients, sums) = (HostRows.Of(scores, length), HostRows.Of(gradient, length), HostValues<float>.Of(logSums));
        RowLoop.For(scores.numel() / length, length, 2 * Padded(length), (_, first, end, scratch) =>
        {
            for (var row = first; row < end; row++)
            {
                var visible = block.Visible(row);
                var values = Open(rows, row, visible, float.NegativeInfinity, scratch);
                var slopes = Open(gradients, row, visible, 0, scratch[Padded(length)..]);
                BackwardRow(values, slopes, block.Scale, sums[row]);
                rows.KeepFirst(row, values[..Math.Min(length, values.Length)]);
                gradients.KeepFirst(row, slopes[..Math.Min(length, slopes.Length)]);
            }
        });
    }

    private static int Padded(int count) => (count + s_step - 1) / s_step * s_step;

    // A row's visible values, and what fills them up.
    private static Span<float> Open(HostRows rows, long row, int visible, float filling, Span<float> scratch)
    {
        var values = scratch[..Padded(visible)];
        rows.Read(row, Math.Min(rows.Length, values.Length), values);
        values[visible..].Fill(filling);
        return values;
    }

    private static float Normalise(Span<float> x, float scale)
    {
        var vectors = Lanes.Into(x);
        var largest = Lanes.Largest(x);
        var (lowered, sums) = (new Vector<float>(largest), Vector<float>.Zero);
        for (var i = 0; i < vectors.Length; i++)
        {
            vectors[i] = Exponential.Of((vectors[i] - lowered) * scale);
            sums += vectors[i];
        }

        var sum = Vector.Sum(sums);
        var share = new Vector<float>(1 / sum);
        for (var i = 0; i < vectors.Length; i++)
            vectors[i] *= share;
        return (largest * scale) + MathF.Log(sum);
    }

    // With p = soft-max and g its gradient: d score = scale p (g - sum(p g)).
    private static void BackwardRow(Span<float> x, Span<float> g, float scale, float logSum)
    {
        var vectors = Lanes.Into(x);
        var slopes = Lanes.Into(g);
        var (offset, products) = (new Vector<float>(logSum), Vector<float>.Zero);
        for (var i = 0; i < vectors.Length; i++)
        {
            vectors[i] = Exponential.Of((vectors[i] * scale) - offset);
            products += vectors[i] * slopes[i];
        }

        var mean = new Vector<float>(Vector.Sum(products));
        for (var i = 0; i < vectors.Length; i++)
            slopes[i] = vectors[i] * (slopes[i] - mean) * scale;
    }
}
