using System.Diagnostics;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Bench;

/// <summary>The engine as a stage uses it, with clocks around it.</summary>
internal sealed class EngineSide : IDisposable
{
    /// <summary>Its name on the command line, with one rank.</summary>
    public const string Name = "engine";
    private readonly TimedModel _model;
    private readonly ITrainingEngine _engine;

    private readonly long _bytesBefore = CurrentBytes();

    /// <summary>Builds model and engine.</summary>
    public EngineSide(DecoderSizes sizes, ScalarType precision, Device device, INodeContext node)
    {
        _model = new TimedModel(sizes.Build(node, precision, device));
        _engine = node.Resolve<ITrainingEngineFactory>("engine")
            .Create(new TrainingTarget(_model, _model.LanguageHead, null), node);
    }

    /// <summary>One optimiser step.</summary>
    public StepReport Step(MicroBatch batch, double learningRate, CancellationToken cancel)
    {
        _model.Reset();
        var (objective, before) = (new TimedObjective(), _engine.Usage);
        var start = Stopwatch.GetTimestamp();
        var report = _engine.ComputeGradients([new ObjectivePart("bench", [batch], objective)], cancel);
        var computed = Stopwatch.GetElapsedTime(start).TotalSeconds;
        _engine.Apply(learningRate);
        var total = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var forward = _model.EmbedSeconds + _model.ManySeconds + _model.HeadSeconds + objective.Seconds;
        var usage = _engine.Usage;
        return new StepReport(total, report.Metrics["bench/loss"])
        {
            Forward = forward,
            Backward = computed - forward,
            Optimizer = total - computed,
            Communication = (usage.Communication - before.Communication).TotalSeconds,
            Exposed = (usage.Exposed - before.Exposed).TotalSeconds,
            Memory = new StepMemory(usage.Memory.Weights, usage.Memory.Gathered, usage.Memory.Gradients, usage.Memory.States, usage.Memory.OnDisk),
            PeakBytes = BenchOutput.PeakMemory(),
            BytesBefore = _bytesBefore,
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _engine.Dispose();
        _model.Dispose();
    }

    private static long CurrentBytes()
    {
        using var process = Process.GetCurrentProcess();
        return process.WorkingSet64;
    }

    private sealed class TimedObjective : IObjective
    {
        public double Seconds { get; private set; }

        public ObjectiveResult Evaluate(Tensor output, MicroBatch batch, WindowTotals totals)
        {
            var start = Stopwatch.GetTimestamp();
            var result = TokenCrossEntropy.Instance.Evaluate(output, batch, totals);
            Seconds += Stopwatch.GetElapsedTime(start).TotalSeconds;
            return result;
        }
    }
}
