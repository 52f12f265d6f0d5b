using static TorchSharp.torch;

namespace ColossalChat.Contracts.Torch;

/// <summary>
/// Sequences of one forward and backward pass. B = sequences, T = longest, N = head positions over all rows, in row
/// order. Owns its tensors.
/// </summary>
public sealed class MicroBatch : IDisposable
{
    /// <summary>[B, T] int64, right-padded.</summary>
    public required Tensor TokenIds { get; init; }

    /// <summary>Row lengths.</summary>
    public required SequenceLayout Layout { get; init; }

    /// <summary>[N] int64: index into the flattened [B x T] of each position that the head reads.</summary>
    public required Tensor HeadPositions { get; init; }

    /// <summary>[N] int64: the token that follows each head position, the one it predicts; the last token's own id for a last-token head.</summary>
    public required Tensor Targets { get; init; }

    /// <summary>Head positions of each row; they sum to N. Host memory.</summary>
    public required IReadOnlyList<int> TargetsPerRow { get; init; }

    /// <summary>Columns of the experience: [N] float32 at the head positions, or [B] float32 when one a row.</summary>
    public required IReadOnlyDictionary<string, Tensor> Columns { get; init; }

    /// <summary>Sequences.</summary>
    public int Rows => Layout.Rows;

    /// <summary>N.</summary>
    public int TargetCount => TargetsPerRow.Sum();

    /// <inheritdoc/>
    public void Dispose()
    {
        TokenIds.Dispose();
        HeadPositions.Dispose();
        Targets.Dispose();
        foreach (var column in Columns.Values)
            column.Dispose();
    }
}

/// <summary>Totals over a whole optimiser window and all ranks, known before its first micro-batch.</summary>
/// <param name="Targets">Head positions.</param>
/// <param name="Rows">Sequences.</param>
public readonly record struct WindowTotals(long Targets, long Rows);
