using System.Diagnostics;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Rlhf;

/// <summary>A borrowed model with its engine and schedule: what every trainer needs and nothing that differs between them.</summary>
internal sealed class TrainedModel : IDisposable
{
    private readonly TrainerOptions _options;
    private readonly IBorrowedModel _loan;
    private readonly ITrainingEngine _engine;
    private readonly RankPlace _place;
    private readonly (double Forward, double Backward) _flopsPerToken;
    private readonly string _node;
    private readonly WeightsPublisher? _publisher;
    private IDisposable? _reading;
    private double _flops;
    private TimeSpan _took;

    public TrainedModel(TrainerOptions options, INodeContext context, bool needsValueHead)
    {
        (_options, _place, _node) = (options, context.Place, context.NodeName);
        _publisher = (context.ReadersAreElsewhere || context.Staleness > 0) && _place.Rank == 0 ? new WeightsPublisher(context.Blobs, context.Staleness) : null;
        _loan = context.Resolve<IModelStore>("models").Borrow(options.Model);
        try
        {
            var head = needsValueHead ? ValueHeads.Of(_loan) : _loan.Body.LanguageHead;
            _engine = context.Create(options.Engine).Create(new TrainingTarget(_loan.Body, head, _loan.Adapter), context);
            _flopsPerToken = FlopsPerToken(head);
        }
        catch
        {
            _loan.Dispose();
            throw;
        }
    }

    public Device Device => _loan.Body.Device;

    /// <summary>True when there are no other ranks.</summary>
    public bool IsAlone => _place.Ranks == 1;

    public long Steps => _engine.Steps;

    /// <summary>Cuts rows of experience into micro-batches of the engine's size; the caller disposes them.</summary>
    public IReadOnlyList<MicroBatch> Cut(Experience experience, HeadPlacement placement, bool keepPairs = false) =>
        MicroBatches.Build(
            experience,
            new MicroBatchCut { Placement = placement, Tokens = _engine.MicroBatchTokens, KeepPairs = keepPairs },
            Device);

    /// <summary>Computes gradients and disposes the parts' windows.</summary>
    public GradientReport Compute(IReadOnlyList<ObjectivePart> parts, CancellationToken cancel)
    {
        var started = Stopwatch.GetTimestamp();
        EndReading();
        try
        {
            using var active = _loan.Activate();
            return _engine.ComputeGradients(parts, cancel);
        }
        finally
        {
            // A part of coefficient 0 is measured only and has no backward pass.
            _flops += parts.Sum(part => part.Window.Sum(batch => (double)batch.Layout.Lengths.Sum())
                * (_flopsPerToken.Forward + (part.Coefficient == 0 ? 0 : _flopsPerToken.Backward)));
            _took += Stopwatch.GetElapsedTime(started);
            Free(parts);
        }
    }

    /// <summary>Evaluates an objective and disposes its window.</summary>
    public IReadOnlyDictionary<string, double> Evaluate(ObjectivePart part, CancellationToken cancel)
    {
        EndReading();
        try
        {
            using var active = _loan.Activate();
            return _engine.Evaluate(part, cancel);
        }
        finally
        {
            Free([part]);
        }
    }

    /// <summary>Learning rate of the next update.</summary>
    public double Rate(long totalSteps) => _options.LearningRate * _options.Schedule.Factor(_engine.Steps, totalSteps);

    /// <summary>Applies or drops the gradients.</summary>
    public void Finish(bool apply, double rate)
    {
        var started = Stopwatch.GetTimestamp();
        if (apply)
            _engine.Apply(rate);
        else
            _engine.Skip();
        _took += Stopwatch.GetElapsedTime(started);
    }

    /// <summary>
    /// Achieved TFLOP/s of the updates since the last call, 0 when there was none. Counted as usual, for real tokens, as if
    /// the head read all of them: 2 a parameter forward, 2 back to the inputs, 2 more a parameter that trains; a full
    /// update makes 6. Embeddings are looked up and count nothing; nor does attention between tokens.
    /// </summary>
    public double TakeTeraflops()
    {
        var rate = _took > TimeSpan.Zero ? _flops / _took.TotalSeconds / 1e12 : 0;
        (_flops, _took) = (0, TimeSpan.Zero);
        return rate;
    }

    /// <summary>
    /// Names the current weights. Readers in rank 0's process borrow the same model, where they are whole until the next
    /// computation; for others the trained ones go into the lane.
    /// </summary>
    public WeightsPublication Publish(long epoch, long version, CancellationToken cancel)
    {
        EndReading();
        _reading = _engine.ReadWeights(_engine.Trainable);
        if (_place.Rank > 0)
        {
            EndReading();
            return new WeightsPublication(_options.Model, epoch, version, "", null);
        }

        var publication = new WeightsPublication(_options.Model, epoch, version, ModelWeights.HashOf(_loan, cancel), null) { Publisher = _node };
        return _publisher?.Publish(publication, [.. _engine.Trainable], CanaryPrompt.Judge(_loan, cancel), cancel) ?? publication;
    }

    /// <summary>Rank 0 writes parameter by parameter, so that no rank ever holds more of the others than one.</summary>
    public void Export(string folder)
    {
        EndReading();
        using var active = _loan.Activate();
        using var adapter = _engine.ReadWeights(_loan.Adapter?.Parameters ?? []);
        if (_place.Rank == 0)
            _loan.Export(folder, slot => _engine.ReadWeights([slot]));
        else
            foreach (var slot in _loan.ExportedParameters)
                _engine.ReadWeights([slot]).Dispose();
    }

    public void Capture(IStateWriter writer) => _engine.Capture(writer);

    public void Restore(IStateReader reader) => _engine.Restore(reader);

    public void Dispose()
    {
        EndReading();
        _publisher?.Dispose();
        _engine.Dispose();
        _loan.Dispose();
    }

    private (double Forward, double Backward) FlopsPerToken(IOutputHead head)
    {
        var trained = _engine.Trainable.ToHashSet();
        var slots = _loan.Body.Blocks.SelectMany(block => block.Parameters)
            .Concat(head.Parameters)
            .Concat(_loan.Adapter?.Parameters ?? [])
            .Distinct()
            .ToLookup(trained.Contains, slot => slot.Shape.Aggregate(1.0, (product, size) => product * size));
        var all = slots.Sum(group => group.Sum());
        return (2 * all, (2 * all) + (2 * slots[true].Sum()));
    }

    private void EndReading()
    {
        _reading?.Dispose();
        _reading = null;
    }

    private static void Free(IReadOnlyList<ObjectivePart> parts)
    {
        foreach (var batch in parts.SelectMany(part => part.Window))
            batch.Dispose();
    }
}
