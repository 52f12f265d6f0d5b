using ColossalChat.Contracts;

namespace ColossalChat.Cluster.Tests;

/// <summary>A trainer that does what another does, but for what a test overrides.</summary>
internal abstract class TrainerAround(ITrainerRole inner) : ITrainerRole
{
    public string Model => inner.Model;

    protected ITrainerRole Inner => inner;

    public int Begin(TrainRequest request) => inner.Begin(request);

    public bool Compute(int step, CancellationToken cancel) => inner.Compute(step, cancel);

    public void Finish(int step, bool apply) => inner.Finish(step, apply);

    public IReadOnlyDictionary<string, double> End() => inner.End();

    public IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel) => inner.Evaluate(heldOut, cancel);

    public WeightsPublication Publish(long epoch, long version, CancellationToken cancel) => inner.Publish(epoch, version, cancel);

    public void Export(string folder) => inner.Export(folder);

    public abstract void Capture(IStateWriter writer);

    public void Restore(IStateReader reader) => inner.Restore(reader);

    public void Dispose() => inner.Dispose();
}
