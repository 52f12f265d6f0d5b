namespace ColossalChat.Cluster;

/// <summary>All state of a run between two iterations.</summary>
/// <param name="Iteration">Last finished one; 0 before training.</param>
/// <param name="Epoch">Attempt that it was captured in; whoever continues from it is a later one.</param>
/// <param name="Totals">What training has used up to then.</param>
/// <param name="Images">State of each stateful role by slot.</param>
public sealed record RunState(long Iteration, long Epoch, RunTotals Totals, IReadOnlyDictionary<string, StateImage> Images)
{
    /// <summary>Folder of the checkpoint that it is; null for one that is only in memory.</summary>
    public string? Folder { get; init; }

    /// <summary>The iteration's measurement was due and was left out to stop sooner; whoever continues makes it first.</summary>
    public bool OwesMeasurement { get; init; }

    /// <summary>The iteration's value of the metric that tells the best checkpoint; null when it has none.</summary>
    public CheckpointScore? Score { get; init; }

    /// <summary>Lets go of what others keep of it; it is of no use any more.</summary>
    internal void Release()
    {
        foreach (var image in Images.Values)
            image.Release();
    }
}

/// <summary>What training has used since the run began, resumed parts included.</summary>
/// <param name="Samples">Sequences.</param>
/// <param name="Tokens">Their tokens, prompts included.</param>
public readonly record struct RunTotals(long Samples, long Tokens)
{
    /// <summary>With one more iteration.</summary>
    public RunTotals Plus(WindowSize size) => new(Samples + size.Rows, Tokens + size.Tokens);
}
