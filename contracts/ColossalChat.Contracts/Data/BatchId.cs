namespace ColossalChat.Contracts;

/// <summary>Why a batch is made.</summary>
public enum BatchPurpose
{
    /// <summary>Its experience changes weights.</summary>
    Train,

    /// <summary>It is only measured, on held-out data.</summary>
    Evaluate,
}

/// <summary>Names one batch from prompt to weight update.</summary>
/// <param name="Iteration">From 1; 0 is the measurement before the first update.</param>
/// <param name="Shard">From 0 within its iteration.</param>
/// <param name="Purpose">Training and measuring batches of one iteration never meet.</param>
public readonly record struct BatchId(long Iteration, int Shard, BatchPurpose Purpose = BatchPurpose.Train)
{
    /// <inheritdoc/>
    public override string ToString() => Purpose == BatchPurpose.Train ? $"{Iteration}.{Shard}" : $"{Iteration}.{Shard}e";
}
