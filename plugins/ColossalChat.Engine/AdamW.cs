using System.Numerics;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace ColossalChat.Engine;

/// <summary>Numbers of one update, the same for all parameters.</summary>
/// <param name="LearningRate">Of this step.</param>
/// <param name="GradientScale">Factor on every gradient: 1, or what clipping asks.</param>
/// <param name="Step">From 1; bias correction needs it.</param>
public readonly record struct AdamStep(double LearningRate, double GradientScale, long Step);

/// <summary>
/// AdamW over flat buffers. On the CPU one pass over memory does everything that would take a dozen tensor operations;
/// results do not depend on vector width or number of threads, because every element is computed alone.
/// </summary>
/// <param name="options">Settings.</param>
public sealed class AdamW(OptimizerOptions options)
{
    // 64 K floats of each of four buffers fit into a core's second-level cache.
    private const int SliceLength = 1 << 16;

    /// <summary>Updates one flat buffer in place.</summary>
    /// <param name="parameters">[n] float32.</param>
    /// <param name="gradients">[n] float32.</param>
    /// <param name="mean">[n] float32, first moment.</param>
    /// <param name="square">[n] float32, second moment.</param>
    /// <param name="decays">Whether weight decay applies.</param>
    /// <param name="step">Numbers of this update.</param>
    public void Update(Tensor parameters, Tensor gradients, Tensor mean, Tensor square, bool decays, AdamStep step)
    {
        if (parameters.numel() == 0)
            return;
        var factors = Factors.Of(options, decays, step);
        if (parameters.device_type != DeviceType.CPU)
        {
            UpdateOnDevice(parameters, gradients, mean, square, factors);
            return;
        }

        var slices = (int)((parameters.numel() + SliceLength - 1) / SliceLength);
        if (slices == 1)
            UpdateSlice(parameters, gradients, mean, square, factors, 0);
        else
            Parallel.For(0, slices, slice => UpdateSlice(parameters, gradients, mean, square, factors, (long)slice * SliceLength));
    }

    private static void UpdateSlice(Tensor parameters, Tensor gradients, Tensor mean, Tensor square, Factors f, long start)
    {
        var length = Math.Min(SliceLength, parameters.numel() - start);
        var p = Floats(parameters, start, length);
        var g = Floats(gradients, start, length);
        var m = Floats(mean, start, length);
        var v = Floats(square, start, length);
        var (vp, vg) = (MemoryMarshal.Cast<float, Vector<float>>(p).Length, Vector<float>.Count);
        UpdateVectors(p, g, m, v, f);
        for (var i = vp * vg; i < p.Length; i++)
        {
            var gradient = g[i] * f.GradientScale;
            m[i] = (m[i] * f.Beta1) + (gradient * f.OneMinusBeta1);
            v[i] = (v[i] * f.Beta2) + (gradient * gradient * f.OneMinusBeta2);
            p[i] = (p[i] * f.Decay) - (f.StepSize * m[i] / ((MathF.Sqrt(v[i]) * f.SquareScale) + f.Epsilon));
        }
    }

    private static void UpdateVectors(Span<float> p, Span<float> g, Span<float> m, Span<float> v, Factors f)
    {
        var parameters = MemoryMarshal.Cast<float, Vector<float>>(p);
        var gradients = MemoryMarshal.Cast<float, Vector<float>>(g);
        var means = MemoryMarshal.Cast<float, Vector<float>>(m);
        var squares = MemoryMarshal.Cast<float, Vector<float>>(v);
        var epsilon = new Vector<float>(f.Epsilon);
        var stepSize = new Vector<float>(f.StepSize);
        for (var i = 0; i < parameters.Length; i++)
        {
            var gradient = gradients[i] * f.GradientScale;
            var mean = (means[i] * f.Beta1) + (gradient * f.OneMinusBeta1);
            var square = (squares[i] * f.Beta2) + (gradient * gradient * f.OneMinusBeta2);
            (means[i], squares[i]) = (mean, square);
            parameters[i] = (parameters[i] * f.Decay)
                - (stepSize * mean / ((Vector.SquareRoot(square) * f.SquareScale) + epsilon));
        }
    }

    private static Span<float> Floats(Tensor flat, long start, long length)
    {
        // The span outlives the view: the memory belongs to the flat buffer.
        using var view = flat.narrow(0, start, length);
        return MemoryMarshal.Cast<byte, float>(view.bytes);
    }

    private static void UpdateOnDevice(Tensor parameters, Tensor gradients, Tensor mean, Tensor square, Factors f)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var gradient = gradients * f.GradientScale;
        mean.mul_(f.Beta1).add_(gradient * f.OneMinusBeta1);
        square.mul_(f.Beta2).add_(gradient * gradient * f.OneMinusBeta2);
        parameters.mul_(f.Decay).sub_(mean * f.StepSize / ((square.sqrt() * f.SquareScale) + f.Epsilon));
    }

    private readonly record struct Factors(
        float Beta1,
        float OneMinusBeta1,
        float Beta2,
        float OneMinusBeta2,
        float Epsilon,
        float StepSize,
        float SquareScale,
        float Decay,
        float GradientScale)
    {
        public static Factors Of(OptimizerOptions options, bool decays, AdamStep step) => new(
            (float)options.Beta1,
            (float)(1 - options.Beta1),
            (float)options.Beta2,
            (float)(1 - options.Beta2),
            (float)options.Epsilon,
            (float)(step.LearningRate / (1 - Math.Pow(options.Beta1, step.Step))),
            (float)(1 / Math.Sqrt(1 - Math.Pow(options.Beta2, step.Step))),
            (float)(decays ? 1 - (step.LearningRate * options.WeightDecay) : 1),
            (float)step.GradientScale);
    }
}
