using System.Security.Cryptography;
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

    public TrainedModel(TrainerOptions options, INodeContext context, bool needsValueHead)
    {
        _options = options;
        _loan = context.Resolve<IModelStore>("models").Borrow(options.Model);
        try
        {
            var head = needsValueHead ? ValueHeads.Of(_loan) : _loan.Body.LanguageHead;
            _engine = context.Create(options.Engine).Create(new TrainingTarget(_loan.Body, head, _loan.Adapter), context);
        }
        catch
        {
            _loan.Dispose();
            throw;
        }
    }

    public Device Device => _loan.Body.Device;

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
        try
        {
            using var active = _loan.Activate();
            return _engine.ComputeGradients(parts, cancel);
        }
        finally
        {
            Free(parts);
        }
    }

    /// <summary>Evaluates an objective and disposes its window.</summary>
    public IReadOnlyDictionary<string, double> Evaluate(ObjectivePart part, CancellationToken cancel)
    {
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
        if (apply)
            _engine.Apply(rate);
        else
            _engine.Skip();
    }

    /// <summary>Names the current weights; all readers in this process borrow the same model, so no bytes travel.</summary>
    public WeightsPublication Publish(long epoch, long version, CancellationToken cancel) =>
        new(_options.Model, epoch, version, ContentHash(cancel), null);

    public void Export(string folder)
    {
        using var active = _loan.Activate();
        _loan.Export(folder);
    }

    public void Capture(IStateWriter writer) => _engine.Capture(writer);

    public void Restore(IStateReader reader) => _engine.Restore(reader);

    public void Dispose()
    {
        _engine.Dispose();
        _loan.Dispose();
    }

    private static void Free(IReadOnlyList<ObjectivePart> parts)
    {
        foreach (var batch in parts.SelectMany(part => part.Window))
            batch.Dispose();
    }

    private string ContentHash(CancellationToken cancel)
    {
        var body = _loan.Body;
        var slots = body.Embedding.Parameters
            .Concat(body.Blocks.SelectMany(block => block.Parameters))
            .Concat((_loan.ValueHead ?? body.LanguageHead).Parameters)
            .Concat(_loan.Adapter?.Parameters ?? [])
            .Distinct();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var slot in slots)
        {
            cancel.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            hash.AppendData(System.Text.Encoding.UTF8.GetBytes(slot.Name));
            hash.AppendData(slot.Value.detach().cpu().contiguous().bytes);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
