using System.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Numerics.Kernels;

/// <summary>Sums over gradients in host memory, in one pass.</summary>
public static class GradientKernel
{
    // A piece is converted in the first cache; its partial sums are added in order, whatever the number of threads.
    private const int PieceLength = 4096;

    /// <summary>Adds or copies a gradient, converting its type on the way.</summary>
    /// <param name="gradient">Any shape.</param>
    /// <param name="sum">The same shape.</param>
    /// <param name="overwrite">Copies instead of adding.</param>
    /// <returns>False, with nothing done, where the tensors are not contiguous host memory of a known type.</returns>
    public static bool TryAdd(Tensor gradient, Tensor sum, bool overwrite)
    {
        if (!HostRows.CanOpen(gradient) || !HostRows.CanOpen(sum) || !gradient.is_contiguous() || !sum.is_contiguous())
            return false;
        RowLoop.ForRuns(sum.numel(), PieceLength, 3 * PieceLength, (start, length) =>
        {
            var (from, to) = (HostRows.At(gradient, start, length), HostRows.At(sum, start, length));
            return (row, scratch) =>
            {
                var place = to.Begin(row, scratch[(2 * PieceLength)..]);
                if (overwrite)
                    Copy(from.Read(row, place), place);
                else
                    Add(from.Read(row, scratch), to.Read(row, scratch[PieceLength..]), place);
                to.Keep(row, place);
            };
        });
        return true;
    }

    /// <summary>Sum of squares, in double precision between pieces.</summary>
    /// <param name="values">[n] float32, contiguous host memory.</param>
    public static double SquaredNorm(Tensor values)
    {
        var whole = values.numel() / PieceLength;
        var sums = new double[whole + 1];
        var rows = HostRows.Of(values, PieceLength);
        RowLoop.For(whole, PieceLength, 0, (_, start, end, _) =>
        {
            for (var row = start; row < end; row++)
                sums[row] = Squares(rows.Read(row, default));
        });
        if (values.numel() - (whole * PieceLength) is var rest and > 0)
            sums[whole] = Squares(HostRows.At(values, whole * PieceLength, (int)rest).Read(0, default));
        return sums.Sum();
    }

    // What had to be converted is there already.
    private static void Copy(ReadOnlySpan<float> from, Span<float> to)
    {
        if (from != to)
            from.CopyTo(to);
    }

    private static void Add(ReadOnlySpan<float> a, ReadOnlySpan<float> b, Span<float> sum)
    {
        var va = Lanes.Of(a);
        var vb = Lanes.Of(b);
        var to = Lanes.Into(sum);
        for (var i = 0; i < va.Length; i++)
            to[i] = va[i] + vb[i];
        for (var i = Lanes.Tail(a); i < a.Length; i++)
            sum[i] = a[i] + b[i];
    }

    private static double Squares(ReadOnlySpan<float> values)
    {
        var sum = Vector<float>.Zero;
        foreach (var vector in Lanes.Of(values))
            sum += vector * vector;
        double total = Vector.Sum(sum);
        for (var i = Lanes.Tail(values); i < values.Length; i++)
            total += values[i] * values[i];
        return total;
    }
}
