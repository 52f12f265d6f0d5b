using System.Diagnostics;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace ColossalChat.Bench;

// B = sequences, T = tokens, V = vocabulary.

/// <summary>What a careful TorchSharp user writes without any engine. Same shape, same data, same work as the engine's side.</summary>
internal abstract class PlainLoop : IDisposable
{
    /// <summary>One optimiser step on the next-token loss.</summary>
    /// <param name="tokenIds">[B, T] int64.</param>
    /// <returns>The loss before the step, nats.</returns>
    public abstract double Step(Tensor tokenIds);

    /// <summary>A step with a clock around it.</summary>
    public StepReport TimedStep(Tensor tokenIds)
    {
        var start = Stopwatch.GetTimestamp();
        var loss = Step(tokenIds);
        return new StepReport(Stopwatch.GetElapsedTime(start).TotalSeconds, loss) { PeakBytes = BenchOutput.PeakMemory() };
    }

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>Loss of the next tokens, in float32.</summary>
    protected static Tensor NextTokenLoss(PlainDecoder decoder, Tensor tokenIds)
    {
        var length = tokenIds.shape[1] - 1;
        var logits = decoder.forward(tokenIds.narrow(1, 0, length));                          // [B, T - 1, V]
        var targets = tokenIds.narrow(1, 1, length);                                          // [B, T - 1]
        return functional.cross_entropy(logits.flatten(0, 1).to(float32), targets.flatten());
    }
}

/// <summary>The loop by the book in float32: the library's AdamW and gradient clipping, one dispose scope a step.</summary>
internal sealed class EagerLoop : PlainLoop
{
    /// <summary>Its name in the report and on the command line.</summary>
    public const string Name = "fp32-eager";
    private readonly PlainDecoder _decoder;
    private readonly optim.Optimizer _optimizer;

    /// <summary>Builds model and optimiser.</summary>
    public EagerLoop(DecoderSizes sizes, Device device, double learningRate)
    {
        _decoder = PlainDecoder.New(sizes, device, float32);
        _optimizer = optim.AdamW(_decoder.parameters(), learningRate, beta1: 0.9, beta2: 0.95, weight_decay: 0);
    }

    /// <inheritdoc/>
    public override double Step(Tensor tokenIds)
    {
        using var scope = NewDisposeScope();
        _optimizer.zero_grad();
        var loss = NextTokenLoss(_decoder, tokenIds);
        loss.backward();
        nn.utils.clip_grad_norm_(_decoder.parameters(), 1.0);
        _optimizer.step();
        return loss.item<float>();
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _optimizer.Dispose();
        _decoder.Dispose();
    }
}

/// <summary>
/// Mixed precision without an engine: modules in bfloat16, master weights in float32 for the library's AdamW. Gradients are
/// copied to the masters after backward, and the masters back to the modules after the update.
/// </summary>
internal sealed class MixedLoop : PlainLoop
{
    /// <summary>Its name in the report and on the command line.</summary>
    public const string Name = "naive-bf16";
    private readonly PlainDecoder _decoder;
    private readonly Parameter[] _weights;
    private readonly Parameter[] _masters;
    private readonly optim.Optimizer _optimizer;

    /// <summary>Builds model, masters and optimiser.</summary>
    public MixedLoop(DecoderSizes sizes, Device device, double learningRate)
    {
        _decoder = PlainDecoder.New(sizes, device, bfloat16);
        _weights = [.. _decoder.parameters()];
        _masters = [.. _weights.Select(weight => Parameter(weight.detach().to(float32)))];
        foreach (var master in _masters)
            master.grad = zeros_like(master);
        _optimizer = optim.AdamW(_masters, learningRate, beta1: 0.9, beta2: 0.95, weight_decay: 0);
    }

    /// <inheritdoc/>
    public override double Step(Tensor tokenIds)
    {
        using var scope = NewDisposeScope();
        _decoder.zero_grad();
        var loss = NextTokenLoss(_decoder, tokenIds);
        loss.backward();
        using (no_grad())
        {
            foreach (var (weight, master) in _weights.Zip(_masters))
                master.grad!.copy_(weight.grad!);
        }

        nn.utils.clip_grad_norm_(_masters, 1.0);
        _optimizer.step();
        using (no_grad())
        {
            foreach (var (weight, master) in _weights.Zip(_masters))
                weight.copy_(master);
        }

        return loss.item<float>();
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _optimizer.Dispose();
        foreach (var master in _masters)
            master.Dispose();
        _decoder.Dispose();
    }
}
