using System.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Numerics.Kernels;

/// <summary>silu(gate) x up and its gradients, in one pass over memory, in float32. Shazeer, arXiv 2002.05202 (SwiGLU).</summary>
internal static unsafe class GatedUnitKernel
{
    // Elements only meet their equals, so any cut will do.
    private const int RunLength = 2048;

    /// <summary>silu(gate) x up.</summary>
    /// <param name="gate">[n], contiguous in host memory, float32 or bfloat16.</param>
    /// <param name="up">Of the same type; so are all others.</param>
    /// <param name="output">Written.</param>
    public static void Forward(Tensor gate, Tensor up, Tensor output)
    {
        var (g, u, y) = ((nint)HostRows.AddressOf(gate), (nint)HostRows.AddressOf(up), (nint)HostRows.AddressOf(output));
        if (gate.dtype == ScalarType.Float32)
            ForEachRun(gate.numel(), (from, to) => Forward<Float32Element>((void*)g, (void*)u, (void*)y, from, to));
        else
            ForEachRun(gate.numel(), (from, to) => Forward<BFloat16Element>((void*)g, (void*)u, (void*)y, from, to));
    }

    /// <summary>Gradients of gate and up.</summary>
    /// <param name="gate">As in forward.</param>
    /// <param name="up">As in forward.</param>
    /// <param name="gradOutput">By the output.</param>
    /// <param name="gradGate">Written.</param>
    /// <param name="gradUp">Written.</param>
    public static void Backward(Tensor gate, Tensor up, Tensor gradOutput, Tensor gradGate, Tensor gradUp)
    {
        var (g, u, d) = ((nint)HostRows.AddressOf(gate), (nint)HostRows.AddressOf(up), (nint)HostRows.AddressOf(gradOutput));
        var (gg, gu) = ((nint)HostRows.AddressOf(gradGate), (nint)HostRows.AddressOf(gradUp));
        if (gate.dtype == ScalarType.Float32)
            ForEachRun(gate.numel(), (from, to) => Backward<Float32Element>((void*)g, (void*)u, (void*)d, (void*)gg, (void*)gu, from, to));
        else
            ForEachRun(gate.numel(), (from, to) => Backward<BFloat16Element>((void*)g, (void*)u, (void*)d, (void*)gg, (void*)gu, from, to));
    }

    private static void ForEachRun(long elements, Action<long, long> body) =>
        RowLoop.For((elements + RunLength - 1) / RunLength, RunLength, 0, (_, first, end, _) => body(first * RunLength, Math.Min(elements, end * RunLength)));

    private static void Forward<T>(void* gate, void* up, void* output, long from, long to)
        where T : IElement
    {
        var i = from;
        for (; i + (2 * Vector<float>.Count) <= to; i += 2 * Vector<float>.Count)
        {
            var (g0, g1) = T.Load(gate, i);
            var (u0, u1) = T.Load(up, i);
            T.Store(g0 * Sigmoid(g0) * u0, g1 * Sigmoid(g1) * u1, output, i);
        }

        for (; i < to; i++)
        {
            var g = T.LoadOne(gate, i);
            T.StoreOne(g * Sigmoid(g) * T.LoadOne(up, i), output, i);
        }
    }

    private static void Backward<T>(void* gate, void* up, void* gradOutput, void* gradGate, void* gradUp, long from, long to)
        where T : IElement
    {
        var i = from;
        for (; i + (2 * Vector<float>.Count) <= to; i += 2 * Vector<float>.Count)
        {
            var (g0, g1) = T.Load(gate, i);
            var (u0, u1) = T.Load(up, i);
            var (d0, d1) = T.Load(gradOutput, i);
            var (s0, s1) = (Sigmoid(g0), Sigmoid(g1));
            T.Store(d0 * g0 * s0, d1 * g1 * s1, gradUp, i);
            T.Store(d0 * u0 * Slope(g0, s0), d1 * u1 * Slope(g1, s1), gradGate, i);
        }

        for (; i < to; i++)
        {
            var (g, d) = (T.LoadOne(gate, i), T.LoadOne(gradOutput, i));
            var s = Sigmoid(g);
            T.StoreOne(d * g * s, gradUp, i);
            T.StoreOne(d * T.LoadOne(up, i) * s * (1 + (g * (1 - s))), gradGate, i);
        }
    }

    private static Vector<float> Sigmoid(Vector<float> x) => Vector<float>.One / (Vector<float>.One + Exponential.Of(-x));

    private static float Sigmoid(float x) => 1 / (1 + MathF.Exp(-x));

    // Of silu, with s = sigmoid(x): s (1 + x (1 - s)).
    private static Vector<float> Slope(Vector<float> x, Vector<float> s) => s * (Vector<float>.One + (x * (Vector<float>.One - s)));
}
