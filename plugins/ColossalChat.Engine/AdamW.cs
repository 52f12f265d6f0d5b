using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics.Kernels;
using static TorchSharp.torch;

namespace ColossalChat.Engine;

/// <summary>Numbers of one update, the same for all parameters.</summary>
/// <param name="LearningRate">Of this step.</param>
/// <param name="GradientScale">Factor on every gradient: 1, or what clipping and loss scaling ask.</param>
/// <param name="Step">From 1; bias correction needs it.</param>
public readonly record struct AdamStep(double LearningRate, double GradientScale, long Step);

/// <summary>
/// AdamW over flat shards. In host memory one pass does everything that would take a dozen tensor operations, and writes
/// the rounded working weights on the way.
/// </summary>
/// <param name="options">Settings.</param>
public sealed class AdamW(OptimizerOptions options)
{
    // Converted and updated while they are in the second-level cache.
    private const int SliceLength = 1 << 14;

    /// <summary>Updates a run of a shard in place.</summary>
    /// <param name="shard">Gradients, weights and moments.</param>
    /// <param name="start">First element of the run.</param>
    /// <param name="length">Its elements.</param>
    /// <param name="decays">Whether weight decay applies.</param>
    /// <param name="step">Numbers of this update.</param>
    public void Update(OptimizerShard shard, long start, long length, bool decays, AdamStep step)
    {
        var factors = FactorsOf(decays, step);
        if (HostRows.CanOpen(shard.Master) && HostRows.CanOpen(shard.Weights))
            UpdateInHost(shard, start, length, factors);
        else
            UpdateOnDevice(shard, start, length, factors);
    }

    private static void UpdateInHost(OptimizerShard shard, long start, long length, AdamFactors factors)
    {
        var whole = length / SliceLength;
        var slices = Slices.Of(shard, start, SliceLength);
        RowLoop.For(whole, SliceLength, 0, (_, first, end, _) =>
        {
            for (var slice = first; slice < end; slice++)
                slices.Update(slice, factors);
        });
        if (length - (whole * SliceLength) is var rest and > 0)
            Slices.Of(shard, start + (whole * SliceLength), (int)rest).Update(0, factors);
    }

    private static void UpdateOnDevice(OptimizerShard shard, long start, long length, AdamFactors f)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor Run(Tensor flat) => flat.narrow(0, start, length);
        var (master, mean, square) = (Run(shard.Master), Run(shard.Mean), Run(shard.Square));
        var gradient = Run(shard.Gradients) * f.GradientScale;
        mean.mul_(f.Beta1).add_(gradient * f.OneMinusBeta1);
        square.mul_(f.Beta2).add_(gradient * gradient * f.OneMinusBeta2);
        master.mul_(f.Decay).sub_(mean * f.StepSize / ((square.sqrt() * f.SquareScale) + f.Epsilon));
        if (!ReferenceEquals(shard.Weights, shard.Master))
            Run(shard.Weights).copy_(master);
    }

    private AdamFactors FactorsOf(bool decays, AdamStep step) => new(
        (float)options.Beta1,
        (float)(1 - options.Beta1),
        (float)options.Beta2,
        (float)(1 - options.Beta2),
        (float)options.Epsilon,
        (float)(step.LearningRate / (1 - Math.Pow(options.Beta1, step.Step))),
        (float)(1 / Math.Sqrt(1 - Math.Pow(options.Beta2, step.Step))),
        (float)(decays ? 1 - (step.LearningRate * options.WeightDecay) : 1),
        (float)step.GradientScale);

    private readonly record struct Slices(HostRows Master, HostRows Gradients, HostRows Mean, HostRows Square, HostRows? Weights)
    {
        public static Slices Of(OptimizerShard shard, long start, int length) => new(
            HostRows.At(shard.Master, start, length),
            HostRows.At(shard.Gradients, start, length),
            HostRows.At(shard.Mean, start, length),
            HostRows.At(shard.Square, start, length),
            ReferenceEquals(shard.Weights, shard.Master) ? null : HostRows.At(shard.Weights, start, length));

        public void Update(long slice, in AdamFactors factors)
        {
            var master = Master.Begin(slice, default);
            AdamWKernel.Update(
                AdamWKernel.BestWidth, master, Gradients.Read(slice, default), Mean.Begin(slice, default), Square.Begin(slice, default), factors);
            Weights?.Keep(slice, master);
        }
    }
}
