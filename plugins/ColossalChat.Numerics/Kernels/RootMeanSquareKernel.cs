using System.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Numerics.Kernels;

// R = rows, H = hidden size.

/// <summary>
/// Root-mean-square norm in one pass over memory, sums in float32. Zhang and Sennrich, arXiv 1910.07467:
/// y = x w / sqrt(mean(x^2) + epsilon).
/// </summary>
internal static class RootMeanSquareKernel
{
    public static void Forward(Tensor input, Tensor weight, double epsilon, Tensor output)
    {
        var length = (int)weight.numel();
        var (x, w, y) = (HostRows.Of(input, length), HostRows.Of(weight, length), HostRows.Of(output, length));
        RowLoop.For(input.numel() / length, length, 3 * length, (_, start, end, scratch) =>
        {
            var weights = w.Read(0, scratch[(2 * length)..]);
            for (var row = start; row < end; row++)
            {
                var from = x.Read(row, scratch);
                var to = y.Begin(row, scratch[length..]);
                Scale(from, weights, ScaleOf(from, epsilon), to);
                y.Keep(row, to);
            }
        });
    }

    /// <summary>Gradients of input and weight.</summary>
    /// <param name="input">[R, H].</param>
    /// <param name="weight">[H].</param>
    /// <param name="epsilon">As in forward.</param>
    /// <param name="gradOutput">[R, H].</param>
    /// <param name="gradInput">[R, H], written.</param>
    /// <param name="gradWeight">[H] float32, written; null where it is not wanted.</param>
    public static void Backward(Tensor input, Tensor weight, double epsilon, Tensor gradOutput, Tensor gradInput, Tensor? gradWeight)
    {
        var length = (int)weight.numel();
        var rows = input.numel() / length;
        var (x, w, g, gx) = (HostRows.Of(input, length), HostRows.Of(weight, length), HostRows.Of(gradOutput, length), HostRows.Of(gradInput, length));
        var sums = gradWeight is null ? null : new float[RowLoop.PiecesOf(rows, length)][];
        RowLoop.For(rows, length, 4 * length, (piece, start, end, scratch) =>
        {
            var own = sums is null ? null : sums[piece] = new float[length];
            var weights = w.Read(0, scratch[(3 * length)..]);
            for (var row = start; row < end; row++)
            {
                var from = x.Read(row, scratch);
                var gradient = g.Read(row, scratch[length..]);
                var to = gx.Begin(row, scratch[(2 * length)..]);
                BackwardRow(from, weights, gradient, ScaleOf(from, epsilon), to, own);
                gx.Keep(row, to);
            }
        });
        if (sums is null)
            return;
        var total = HostRows.Of(gradWeight!, length).Begin(0, default);
        total.Clear();
        foreach (var piece in sums)
            Add(piece, total);
    }

    private static float ScaleOf(ReadOnlySpan<float> row, double epsilon)
    {
        var vectors = Lanes.Of(row);
        var sum = Vector<float>.Zero;
        foreach (var vector in vectors)
            sum += vector * vector;
        var total = Vector.Sum(sum);
        for (var i = vectors.Length * Vector<float>.Count; i < row.Length; i++)
            total += row[i] * row[i];
        return (float)(1 / Math.Sqrt((total / row.Length) + epsilon));
    }

    private static void Scale(ReadOnlySpan<float> x, ReadOnlySpan<float> w, float scale, Span<float> y)
    {
        var vx = Lanes.Of(x);
        var vw = Lanes.Of(w);
        var vy = Lanes.Into(y);
        for (var i = 0; i < vx.Length; i++)
            vy[i] = vx[i] * scale * vw[i];
        for (var i = vx.Length * Vector<float>.Count; i < x.Length; i++)
            y[i] = x[i] * scale * w[i];
    }

    // dx = s (g w) - x s^3 / H sum(g w x), dw = sum over rows of g x s, with s = 1 / sqrt(mean(x^2) + epsilon).
    private static void BackwardRow(
        ReadOnlySpan<float> x, ReadOnlySpan<float> w, ReadOnlySpan<float> g, float scale, Span<float> gx, float[]? gw)
    {
        var vx = Lanes.Of(x);
        var vw = Lanes.Of(w);
        var vg = Lanes.Of(g);
        var vo = Lanes.Into(gx);
        var tail = vx.Length * Vector<float>.Count;
        var products = Vector<float>.Zero;
        for (var i = 0; i < vx.Length; i++)
            products += vg[i] * vw[i] * vx[i];
        var product = Vector.Sum(products);
        for (var i = tail; i < x.Length; i++)
            product += g[i] * w[i] * x[i];
        var pull = product * scale * scale * scale / x.Length;
        if (gw is not null)
        {
            var vgw = Lanes.Into(gw);
            for (var i = 0; i < vx.Length; i++)
                vgw[i] += vg[i] * vx[i] * scale;
            for (var i = tail; i < x.Length; i++)
                gw[i] += g[i] * x[i] * scale;
        }

        for (var i = 0; i < vx.Length; i++)
            vo[i] = (vg[i] * vw[i] * scale) - (vx[i] * pull);
        for (var i = tail; i < x.Length; i++)
            gx[i] = (g[i] * w[i] * scale) - (x[i] * pull);
    }

    private static void Add(ReadOnlySpan<float> from, Span<float> to)
    {
        for (var i = 0; i < to.Length; i++)
            to[i] += from[i];
    }
}
