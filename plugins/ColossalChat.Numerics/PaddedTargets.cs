using static TorchSharp.torch;

namespace ColossalChat.Numerics;

// B = sequences, T = most targets of a row, N = targets over all rows.

/// <summary>Spreads values at head positions, [N], over right-padded rows, [B, T]. Holds tensors.</summary>
public sealed class PaddedTargets : IDisposable
{
    private readonly Tensor _places;
    private readonly int _rows;
    private readonly int _longest;

    /// <summary>Plans for one micro-batch.</summary>
    /// <param name="targetsPerRow">Targets of each row; they sum to N.</param>
    /// <param name="device">Where the values are.</param>
    public PaddedTargets(IReadOnlyList<int> targetsPerRow, Device device)
    {
        (_rows, _longest) = (targetsPerRow.Count, Math.Max(1, targetsPerRow.Max()));
        var places = new long[targetsPerRow.Sum()];
        var isResponse = new bool[_rows * _longest];
        var n = 0;
        for (var row = 0; row < _rows; row++)
        {
            for (var t = 0; t < targetsPerRow[row]; t++)
            {
                places[n++] = (row * (long)_longest) + t;
                isResponse[(row * _longest) + t] = true;
            }
        }

        _places = TensorData.From<long>(places, [places.Length], device);
        IsResponse = TensorData.From<bool>(isResponse, [_rows, _longest], device);
    }

    /// <summary>[B, T] bool, true where a value is.</summary>
    public Tensor IsResponse { get; }

    /// <summary>Spreads values; 0 where there is none. Gradients flow back.</summary>
    /// <param name="values">[N] float32.</param>
    /// <returns>[B, T].</returns>
    public Tensor Spread(Tensor values)
    {
        using var scope = NewDisposeScope();
        return zeros([(long)_rows * _longest], values.dtype, values.device)
            .index_copy(0, _places, values)
            .view(_rows, _longest)
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _places.Dispose();
        IsResponse.Dispose();
    }
}
