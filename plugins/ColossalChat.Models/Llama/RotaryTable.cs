using static TorchSharp.torch;

namespace ColossalChat.Models.Llama;

// B = rows, T = tokens, D = head size, C = context length.

/// <summary>
/// Rotary embeddings in Hugging Face's convention (the second half of a head is the partner of the first): angles once for
/// the whole context, then two products and one shift. Su et al., "RoFormer" (2021).
/// </summary>
internal sealed class RotaryTable(int contextLength, int headSize, double rotaryBase, ScalarType precision, Device device) : IDisposable
{
    private readonly Lock _lock = new();
    private Tensor? _cos;
    private Tensor? _sin;

    /// <summary>Factors of positions 0 to T - 1: views of [T, 1, D] in the caller's dispose scope.</summary>
    public (Tensor Cos, Tensor Sin) First(long tokens)
    {
        var (cos, sin) = Whole();
        return (cos.narrow(0, 0, tokens), sin.narrow(0, 0, tokens));
    }

    /// <summary>Factors of chosen positions.</summary>
    /// <param name="positions">[B x T] int64.</param>
    /// <param name="rows">B.</param>
    /// <returns>[B, T, 1, D].</returns>
    public (Tensor Cos, Tensor Sin) At(Tensor positions, long rows)
    {
        var (cos, sin) = Whole();
        return (
            cos.index_select(0, positions).view(rows, -1, 1, headSize),
            sin.index_select(0, positions).view(rows, -1, 1, headSize));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _cos?.Dispose();
        _sin?.Dispose();
    }

    private (Tensor Cos, Tensor Sin) Whole()
    {
        lock (_lock)
        {
            if (_cos is null || _sin is null)
                (_cos, _sin) = Make();
            return (_cos, _sin);
        }
    }

    private (Tensor Cos, Tensor Sin) Make()
    {
        var half = headSize / 2;
        var (cos, sin) = (new float[contextLength * headSize], new float[contextLength * headSize]);
        for (var position = 0; position < contextLength; position++)
            for (var i = 0; i < half; i++)
            {
                var angle = position * Math.Pow(rotaryBase, -2.0 * i / headSize);
                var at = (position * headSize) + i;
                cos[at] = cos[at + half] = (float)Math.Cos(angle);
                sin[at + half] = (float)Math.Sin(angle);
                sin[at] = -sin[at + half];
            }

        return (ToTable(cos), ToTable(sin));
    }

    private Tensor ToTable(float[] values)
    {
        using var host = tensor(values, [contextLength, 1, headSize]);
        return host.to(precision, device, copy: true).DetachFromDisposeScope();
    }
}
