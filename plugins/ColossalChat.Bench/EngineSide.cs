using System.Diagnostics;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Bench;

/// <summary>The engine as a stage uses it, with clocks around it.</summary>
internal sealed class EngineSide : IDisposable
{
    private readonly TimedModel _model;
    private readonly ITrainingEngine _engine;

    /// <summary>Builds model and engine.</summary>
    public EngineSide(DecoderSizes sizes, ScalarType precision, Device device, INodeContext node)
    {
        _model = new TimedModel(sizes.Build(node, precision, device));
        _engine = node.Resolve<ITrainingEngineFactory>("engine")
            .Create(new TrainingTarget(_model, _model.LanguageHead, null), node);
    }

    /// <summary>Seconds of one step.</summary>
    public sealed record Phases(double Total, double Forward, double Backward, double Optimizer);

    /// <summary>Loss of the last step, nats.</summary>
    public double LastLoss { get; private set; }

    /// <summary>One optimiser step.</summary>
    public Phases Step(MicroBatch batch, double learningRate, CancellationToken cancel)
    {
        _model.Reset();
        var objective = new TimedObjective();
        var start = Stopwatch.GetTimestamp();
        var report = _engine.ComputeGradients([new ObjectivePart("bench", [batch], objective)], cancel);
        var computed = Stopwatch.GetElapsedTime(start).TotalSeconds;
        _engine.Apply(learningRate);
        var total = Stopwatch.GetElapsedTime(start).TotalSeconds;
        LastLoss = report.Metrics["bench/loss"];
        var forward = _model.EmbedSeconds + _model.ManySeconds + _model.HeadSeconds + objective.Seconds;
        return new Phases(total, forward, computed - forward, total - computed);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _engine.Dispose();
        _model.Dispose();
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
