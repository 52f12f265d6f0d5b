namespace ColossalChat.Cluster;

/// <summary>When a run measures, saves and ends.</summary>
/// <param name="Iterations">Of the whole run.</param>
/// <param name="MaxIterations">Ends the run earlier; null for none.</param>
/// <param name="EvaluateEvery">0 at the end only, below 0 never.</param>
/// <param name="CanEvaluate">There is held-out data.</param>
/// <param name="CheckpointEvery">0 at the end only.</param>
internal sealed record Schedule(long Iterations, long? MaxIterations, long EvaluateEvery, bool CanEvaluate, long CheckpointEvery)
{
    public long Last => Math.Min(Iterations, MaxIterations ?? Iterations);

    // Iteration 0 is the state before training.
    public bool EvaluatesAfter(long iteration) =>
        CanEvaluate && EvaluateEvery >= 0 && (iteration == Last || (EvaluateEvery > 0 && iteration % EvaluateEvery == 0));

    public bool SavesAfter(long iteration, bool isStopping) =>
        EndsAfter(iteration, isStopping) || (CheckpointEvery > 0 && iteration % CheckpointEvery == 0);

    public bool EndsAfter(long iteration, bool isStopping) => isStopping || iteration >= Last;
}
