using System.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Numerics.Kernels;

// B = rows, T = tokens, D = head size.

/// <summary>
/// Turns pairs of a head's elements (the second half holds the partners of the first) by their position's angles.
/// Su et al., arXiv 2104.09864, in Hugging Face's layout.
/// </summary>
internal static class RotaryKernel
{
    /// <summary>Turns all heads.</summary>
    /// <param name="heads">[B, T, heads, D], contiguous.</param>
    /// <param name="cos">[T, 1, D], or [B, T, 1, D].</param>
    /// <param name="sin">The same shape; negative in the first half of D.</param>
    /// <param name="isBack">Turns back, which is the gradient.</param>
    /// <param name="output">Like <paramref name="heads"/>, written.</param>
    public static void Turn(Tensor heads, Tensor cos, Tensor sin, bool isBack, Tensor output)
    {
        var size = (int)heads.shape[^1];
        var width = (int)heads.shape[^2] * size;
        var positions = cos.numel() / size;
        var (from, to, c, s) = (HostRows.Of(heads, width), HostRows.Of(output, width), HostRows.Of(cos, size), HostRows.Of(sin, size));
        RowLoop.For(heads.numel() / width, width, 2 * (width + size), (_, start, end, scratch) =>
        {
            for (var row = start; row < end; row++)
            {
                var x = from.Read(row, scratch);
                var y = to.Begin(row, scratch[width..]);
                var cosines = c.Read(row % positions, scratch[(2 * width)..]);
                var sines = s.Read(row % positions, scratch[((2 * width) + size)..]);
                for (var head = 0; head < width; head += size)
                    TurnHead(x.Slice(head, size), cosines, sines[(size / 2)..], isBack ? -1 : 1, y.Slice(head, size));
                to.Keep(row, y);
            }
        });
    }

    private static void TurnHead(ReadOnlySpan<float> x, ReadOnlySpan<float> cos, ReadOnlySpan<float> sin, float direction, Span<float> y)
    {
        var half = x.Length / 2;
        var first = Lanes.Of(x[..half]);
        var second = Lanes.Of(x[half..]);
        var toFirst = Lanes.Into(y[..half]);
        var toSecond = Lanes.Into(y[half..]);
        var vc = Lanes.Of(cos[..half]);
        var vs = Lanes.Of(sin);
        for (var i = 0; i < first.Length; i++)
        {
            var turned = vs[i] * direction;
            toFirst[i] = (first[i] * vc[i]) - (second[i] * turned);
            toSecond[i] = (second[i] * vc[i]) + (first[i] * turned);
        }

        for (var i = first.Length * Vector<float>.Count; i < half; i++)
        {
            var turned = sin[i] * direction;
            y[i] = (x[i] * cos[i]) - (x[i + half] * turned);
            y[i + half] = (x[i + half] * cos[i]) + (x[i] * turned);
        }
    }
}
