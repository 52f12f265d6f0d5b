namespace ColossalChat.Cluster;

/// <summary>A checkpoint, checked from end to end while it was read into memory.</summary>
/// <param name="Folder">Where it is.</param>
/// <param name="State">What it holds. A run that continues from it takes the memory over.</param>
public sealed record Checkpoint(string Folder, RunState State)
{
    /// <summary>Last finished iteration in it.</summary>
    public long Iteration => State.Iteration;

    /// <summary>Attempt of the run that wrote it.</summary>
    public long Epoch => State.Epoch;
}

/// <summary>Answer of <see cref="Checkpoints.Latest"/>.</summary>
/// <param name="Checkpoint">The newest whole checkpoint; null when there is none.</param>
/// <param name="Skipped">Newer ones that are torn or corrupted: one sentence each, with the reason.</param>
public sealed record CheckpointChoice(Checkpoint? Checkpoint, IReadOnlyList<string> Skipped);
