using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Models.Llama;

/// <summary>A linear layer with places for another kernel and for an adapter.</summary>
internal sealed class LinearSite(string name, ParameterSlot weight, ParameterSlot? bias) : ILinearSite
{
    /// <inheritdoc/>
    public string Name { get; } = name;

    /// <inheritdoc/>
    public ParameterSlot Weight { get; } = weight;

    /// <inheritdoc/>
    public ParameterSlot? Bias { get; } = bias;

    /// <inheritdoc/>
    public ILinearKernel? Kernel { get; set; }

    /// <inheritdoc/>
    public ILinearAdapter? Adapter { get; set; }

    /// <summary>[.., in] to [.., out].</summary>
    /// <param name="input">The layer's input; [B, T, in] when there is a layout.</param>
    /// <param name="layout">Rows of whole sequences; null for cached steps and heads.</param>
    public Tensor Forward(Tensor input, SequenceLayout? layout = null)
    {
        var output = Kernel is { } kernel ? kernel.Forward(input) : nn.functional.linear(input, Weight.Value, Bias?.Value!);
        if (Adapter is not { } adapter)
            return output;
        return layout is null ? adapter.Forward(input, output) : adapter.Forward(input, output, layout);
    }
}
