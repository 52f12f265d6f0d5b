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
    public Tensor Forward(Tensor input)
    {
        var output = Kernel is { } kernel ? kernel.Forward(input) : nn.functional.linear(input, Weight.Value, Bias?.Value!);
        return Adapter is { } adapter ? adapter.Forward(input, output) : output;
    }
}
