using ColossalChat.Numerics.Kernels;
using static TorchSharp.torch;

namespace ColossalChat.Zero;

/// <summary>
/// Gradients of a whole chunk that add up parameter by parameter. The first gradient overwrites what was there, so that
/// nothing has to be set to 0 before.
/// </summary>
/// <param name="layout">Where each parameter lies.</param>
/// <param name="flat">[n]; disposed with this.</param>
internal sealed class FlatGradients(FlatLayout layout, Tensor flat) : IDisposable
{
    private readonly bool[] _isWritten = new bool[layout.Count];

    /// <summary>[n]; complete after <see cref="Complete"/>. Whoever replaces it frees the old one.</summary>
    public Tensor Flat { get; set; } = flat;

    /// <summary>What is added from here on overwrites, and what nothing is added to is set to 0 by <see cref="Complete"/>.</summary>
    public void Clear() => Array.Clear(_isWritten);

    /// <summary>Adds one parameter's gradient.</summary>
    public void Add(int index, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var place = layout.View(Flat, index);
        if (!GradientKernel.TryAdd(gradient, place, overwrite: !_isWritten[index]))
        {
            if (_isWritten[index])
                place.add_(gradient);
            else
                place.copy_(gradient);
        }

        _isWritten[index] = true;
    }

    /// <summary>Sets what got no gradient, and the padding, to 0.</summary>
    public void Complete()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        for (var i = 0; i < _isWritten.Length; i++)
            if (!_isWritten[i])
                layout.View(Flat, i).zero_();
        if (layout.Padded > layout.Used)
            Flat.narrow(0, layout.Used, layout.Padded - layout.Used).zero_();
        Array.Fill(_isWritten, true);
    }

    /// <inheritdoc/>
    public void Dispose() => Flat.Dispose();
}
