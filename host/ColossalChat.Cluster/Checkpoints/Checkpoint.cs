namespace ColossalChat.Cluster;

/// <summary>A checkpoint on disk, checked from end to end when it was opened.</summary>
/// <param name="Folder">Where it is.</param>
/// <param name="Iteration">Last finished iteration in it.</param>
/// <param name="Epoch">Attempt of the run that wrote it.</param>
/// <param name="Totals">What training had used.</param>
/// <param name="Roles">Slots of the roles whose state it holds.</param>
public sealed record Checkpoint(string Folder, long Iteration, long Epoch, RunTotals Totals, IReadOnlyList<string> Roles);

/// <summary>Answer of <see cref="Checkpoints.Latest"/>.</summary>
/// <param name="Checkpoint">The newest whole checkpoint; null when there is none.</param>
/// <param name="Skipped">Newer ones that are torn or corrupted: one sentence each, with the reason.</param>
public sealed record CheckpointChoice(Checkpoint? Checkpoint, IReadOnlyList<string> Skipped);
