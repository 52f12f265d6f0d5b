using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace ColossalChat.Engine;

/// <summary>The numbers of one AdamW update, worked out once.</summary>
internal readonly record struct AdamFactors(
    float Beta1,
    float OneMinusBeta1,
    float Beta2,
    float OneMinusBeta2,
    float Epsilon,
    float StepSize,
    float SquareScale,
    float Decay,
    float GradientScale);

/// <summary>
/// One AdamW update of equally long spans: one formula, carried out on as many numbers at once as the machine has lanes
/// for. Every element is computed alone with the same operations, so the width changes no bit.
/// </summary>
internal static class AdamWKernel
{
    /// <summary>Elements that one instruction updates on this machine.</summary>
    public static int BestWidth { get; } =
        Vector512.IsHardwareAccelerated ? Vector512<float>.Count : Vector256.IsHardwareAccelerated ? Vector256<float>.Count : 1;

    /// <summary>Updates in place.</summary>
    /// <param name="width">1, 8 or 16.</param>
    /// <param name="master">Weights.</param>
    /// <param name="gradients">Gradients.</param>
    /// <param name="mean">First moment.</param>
    /// <param name="square">Second moment.</param>
    /// <param name="f">Numbers of this update.</param>
    public static void Update(int width, Span<float> master, ReadOnlySpan<float> gradients, Span<float> mean, Span<float> square, in AdamFactors f)
    {
        var done = width switch
        {
            16 => Run<Lanes512, Vector512<float>>(master, gradients, mean, square, f, 0),
            8 => Run<Lanes256, Vector256<float>>(master, gradients, mean, square, f, 0),
            _ => 0,
        };
        _ = Run<OneLane, float>(master, gradients, mean, square, f, done);
    }

    private static int Run<TLanes, T>(
        Span<float> master, ReadOnlySpan<float> gradients, Span<float> mean, Span<float> square, in AdamFactors f, int from)
        where TLanes : ILanes<T>
    {
        ref var p = ref MemoryMarshal.GetReference(master);
        ref var g = ref MemoryMarshal.GetReference(gradients);
        ref var m = ref MemoryMarshal.GetReference(mean);
        ref var v = ref MemoryMarshal.GetReference(square);
        var (beta1, rest1, beta2, rest2) = (TLanes.All(f.Beta1), TLanes.All(f.OneMinusBeta1), TLanes.All(f.Beta2), TLanes.All(f.OneMinusBeta2));
        var (scale, decay, step) = (TLanes.All(f.GradientScale), TLanes.All(f.Decay), TLanes.All(f.StepSize));
        var (squareScale, epsilon) = (TLanes.All(f.SquareScale), TLanes.All(f.Epsilon));
        var i = from;
        for (; i + TLanes.Count <= master.Length; i += TLanes.Count)
        {
            var gradient = TLanes.Times(TLanes.Load(ref g, i), scale);
            var first = TLanes.Plus(TLanes.Times(TLanes.Load(ref m, i), beta1), TLanes.Times(gradient, rest1));
            var second = TLanes.Plus(TLanes.Times(TLanes.Load(ref v, i), beta2), TLanes.Times(TLanes.Times(gradient, gradient), rest2));
            var divisor = TLanes.Plus(TLanes.Times(TLanes.Root(second), squareScale), epsilon);
            var change = TLanes.Over(TLanes.Times(step, first), divisor);
            TLanes.Store(first, ref m, i);
            TLanes.Store(second, ref v, i);
            TLanes.Store(TLanes.Minus(TLanes.Times(TLanes.Load(ref p, i), decay), change), ref p, i);
        }

        return i;
    }

    private interface ILanes<T>
    {
        static abstract int Count { get; }

        static abstract T All(float value);

        static abstract T Load(ref float from, int index);

        static abstract void Store(T value, ref float to, int index);

        static abstract T Plus(T a, T b);

        static abstract T Minus(T a, T b);

        static abstract T Times(T a, T b);

        static abstract T Over(T a, T b);

        static abstract T Root(T a);
    }

    private readonly struct Lanes512 : ILanes<Vector512<float>>
    {
        public static int Count => Vector512<float>.Count;

        public static Vector512<float> All(float value) => Vector512.Create(value);

        public static Vector512<float> Load(ref float from, int index) => Vector512.LoadUnsafe(ref from, (nuint)index);

        public static void Store(Vector512<float> value, ref float to, int index) => value.StoreUnsafe(ref to, (nuint)index);

        public static Vector512<float> Plus(Vector512<float> a, Vector512<float> b) => a + b;

        public static Vector512<float> Minus(Vector512<float> a, Vector512<float> b) => a - b;

        public static Vector512<float> Times(Vector512<float> a, Vector512<float> b) => a * b;

        public static Vector512<float> Over(Vector512<float> a, Vector512<float> b) => a / b;

        public static Vector512<float> Root(Vector512<float> a) => Vector512.Sqrt(a);
    }

    private readonly struct Lanes256 : ILanes<Vector256<float>>
    {
        public static int Count => Vector256<float>.Count;

        public static Vector256<float> All(float value) => Vector256.Create(value);

        public static Vector256<float> Load(ref float from, int index) => Vector256.LoadUnsafe(ref from, (nuint)index);

        public static void Store(Vector256<float> value, ref float to, int index) => value.StoreUnsafe(ref to, (nuint)index);

        public static Vector256<float> Plus(Vector256<float> a, Vector256<float> b) => a + b;

        public static Vector256<float> Minus(Vector256<float> a, Vector256<float> b) => a - b;

        public static Vector256<float> Times(Vector256<float> a, Vector256<float> b) => a * b;

        public static Vector256<float> Over(Vector256<float> a, Vector256<float> b) => a / b;

        public static Vector256<float> Root(Vector256<float> a) => Vector256.Sqrt(a);
    }

    private readonly struct OneLane : ILanes<float>
    {
        public static int Count => 1;

        public static float All(float value) => value;

        public static float Load(ref float from, int index) => Unsafe.Add(ref from, index);

        public static void Store(float value, ref float to, int index) => Unsafe.Add(ref to, index) = value;

        public static float Plus(float a, float b) => a + b;

        public static float Minus(float a, float b) => a - b;

        public static float Times(float a, float b) => a * b;

        public static float Over(float a, float b) => a / b;

        public static float Root(float a) => MathF.Sqrt(a);
    }
}
