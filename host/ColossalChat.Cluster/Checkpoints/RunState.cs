namespace ColossalChat.Cluster;

/// <summary>All state of a run between two iterations.</summary>
/// <param name="Iteration">Last finished one; 0 before training.</param>
/// <param name="Epoch">Attempt that it was captured in; whoever continues from it is a later one.</param>
/// <param name="Images">State of each stateful role by slot.</param>
public sealed record RunState(long Iteration, long Epoch, IReadOnlyDictionary<string, StateImage> Images);
