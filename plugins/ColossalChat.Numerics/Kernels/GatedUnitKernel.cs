using System.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Numerics.Kernels;

/// <summary>silu(gate) x up and its gradients, in one pass over memory, in float32. Shazeer, arXiv 2002.05202 (SwiGLU).</summary>
internal static class GatedUnitKernel
{
    // Five runs in float32 fit the first cache.
    private const int RunLength = 1024;

    public static void Forward(Tensor gate, Tensor up, Tensor output) => RowLoop.ForRuns(gate.numel(), RunLength, 3 * RunLength, (start, length) =>
    {
        var (g, u, y) = (HostRows.At(gate, start, length), HostRows.At(up, start, length), HostRows.At(output, start, length));
        return (row, scratch) =>
        {
            var gates = g.Read(row, scratch);
            var ups = u.Read(row, scratch[RunLength..]);
            var to = y.Begin(row, scratch[(2 * RunLength)..]);
            ForwardRow(gates, ups, to);
            y.Keep(row, to);
        };
    });

    public static void Backward(Tensor gate, Tensor up, Tensor gradOutput, Tensor gradGate, Tensor gradUp) => RowLoop.ForRuns(gate.numel(), RunLength, 5 * RunLength, (start, length) =>
    {
        var (g, u, d) = (HostRows.At(gate, start, length), HostRows.At(up, start, length), HostRows.At(gradOutput, start, length));
        var (gg, gu) = (HostRows.At(gradGate, start, length), HostRows.At(gradUp, start, length));
        return (row, scratch) =>
        {
            var gates = g.Read(row, scratch);
            var ups = u.Read(row, scratch[RunLength..]);
            var gradient = d.Read(row, scratch[(2 * RunLength)..]);
            var toGate = gg.Begin(row, scratch[(3 * RunLength)..]);
            var toUp = gu.Begin(row, scratch[(4 * RunLength)..]);
            BackwardRow(gates, ups, gradient, toGate, toUp);
            gg.Keep(row, toGate);
            gu.Keep(row, toUp);
        };
    });

    private static void ForwardRow(ReadOnlySpan<float> gate, ReadOnlySpan<float> up, Span<float> y)
    {
        var vg = Lanes.Of(gate);
        var vu = Lanes.Of(up);
        var vy = Lanes.Into(y);
        for (var i = 0; i < vg.Length; i++)
            vy[i] = vg[i] / (Vector<float>.One + Exponential.Of(-vg[i])) * vu[i];
        for (var i = vg.Length * Vector<float>.Count; i < gate.Length; i++)
            y[i] = gate[i] / (1 + MathF.Exp(-gate[i])) * up[i];
    }

    // With s = sigmoid(gate): d up = d silu(gate), d gate = d up s (1 + gate (1 - s)).
    private static void BackwardRow(ReadOnlySpan<float> gate, ReadOnlySpan<float> up, ReadOnlySpan<float> d, Span<float> toGate, Span<float> toUp)
    {
        var vg = Lanes.Of(gate);
        var vu = Lanes.Of(up);
        var vd = Lanes.Of(d);
        var vtg = Lanes.Into(toGate);
        var vtu = Lanes.Into(toUp);
        for (var i = 0; i < vg.Length; i++)
        {
            var sigmoid = Vector<float>.One / (Vector<float>.One + Exponential.Of(-vg[i]));
            vtu[i] = vd[i] * vg[i] * sigmoid;
            vtg[i] = vd[i] * vu[i] * sigmoid * (Vector<float>.One + (vg[i] * (Vector<float>.One - sigmoid)));
        }

        for (var i = vg.Length * Vector<float>.Count; i < gate.Length; i++)
        {
            var sigmoid = 1 / (1 + MathF.Exp(-gate[i]));
            toUp[i] = d[i] * gate[i] * sigmoid;
            toGate[i] = d[i] * up[i] * sigmoid * (1 + (gate[i] * (1 - sigmoid)));
        }
    }
}
