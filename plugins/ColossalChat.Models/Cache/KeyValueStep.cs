using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Models.Cache;

// B = rows of the step, T = most new tokens of a row, S = most tokens of a row afterwards, N = new tokens, D = head size.

/// <summary>Where one step's tokens go; the tensors serve all blocks.</summary>
internal sealed class KeyValueStep(IReadOnlyList<int> rows, IReadOnlyList<int> newLengths) : CacheStep
{
    private readonly Dictionary<int, Tensor> _masks = [];

    /// <inheritdoc/>
    public override IReadOnlyList<int> Rows { get; } = rows;

    /// <inheritdoc/>
    public override IReadOnlyList<int> NewLengths { get; } = newLengths;

    /// <summary>True when every row was empty before: the new tokens attend among themselves.</summary>
    public required bool IsFresh { get; init; }

    /// <summary>S.</summary>
    public required int Tokens { get; init; }

    /// <summary>[N] int64: places in the flattened [cache rows x capacity].</summary>
    public required Tensor Destinations { get; init; }

    /// <summary>[N] int64: real tokens in the flattened [B x T]; null when there are no pads.</summary>
    public required Tensor? Sources { get; init; }

    /// <summary>[B] int64 cache rows; null when they stand without gaps and are read in place.</summary>
    public required Tensor? ScatteredRows { get; init; }

    /// <summary>Broadcasts to [B, T, 1, D].</summary>
    public required Tensor Cos { get; init; }

    /// <summary>Broadcasts to [B, T, 1, D].</summary>
    public required Tensor Sin { get; init; }

    /// <summary>[B, 1, T, S]: 0 where the new token may look, minus infinity elsewhere; null when it may look everywhere.</summary>
    public required Tensor? Visible { get; init; }

    /// <summary>The visibility for queries that stand behind each other by group. [B, 1, groups x T, S] or broadcasts to it.</summary>
    public Tensor? MaskFor(int groups)
    {
        if (Visible is null || Visible.shape[2] == 1)
            return Visible;
        if (_masks.TryGetValue(groups, out var known))
            return known;
        var s = Visible.shape;
        var mask = Visible.unsqueeze(2).expand(s[0], 1, groups, s[2], s[3]).reshape(s[0], 1, groups * s[2], s[3]);
        return _masks[groups] = mask.DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        foreach (var tensor in (Tensor?[])[Destinations, Sources, ScatteredRows, Cos, Sin, Visible, .. _masks.Values])
            tensor?.Dispose();
    }
}
