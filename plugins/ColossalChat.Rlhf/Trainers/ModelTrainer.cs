using ColossalChat.Contracts;

namespace ColossalChat.Rlhf;

/// <summary>What every trainer does alike with its model; what it learns from, and how, is the subclass's.</summary>
public abstract class ModelTrainer : ITrainerRole
{
    private readonly TrainerOptions _options;

    private protected ModelTrainer(TrainerOptions options, INodeContext context, bool needsValueHead) =>
        (_options, Trained) = (options, new TrainedModel(options, context, needsValueHead));

    /// <inheritdoc/>
    public string Model => _options.Model;

    private protected TrainedModel Trained { get; }

    /// <inheritdoc/>
    public abstract int Begin(TrainRequest request);

    /// <inheritdoc/>
    public abstract bool Compute(int step, CancellationToken cancel);

    /// <inheritdoc/>
    public abstract void Finish(int step, bool apply);

    /// <inheritdoc/>
    public abstract IReadOnlyDictionary<string, double> End();

    /// <inheritdoc/>
    public abstract IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel);

    /// <inheritdoc/>
    public WeightsPublication Publish(long epoch, long version, CancellationToken cancel) => Trained.Publish(epoch, version, cancel);

    /// <inheritdoc/>
    public void Export(string folder) => Trained.Export(folder);

    /// <inheritdoc/>
    public virtual void Capture(IStateWriter writer) => Trained.Capture(writer);

    /// <inheritdoc/>
    public virtual void Restore(IStateReader reader) => Trained.Restore(reader);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees what the trainer holds.</summary>
    /// <param name="disposing">Always true: there is no finaliser.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
            Trained.Dispose();
    }
}
