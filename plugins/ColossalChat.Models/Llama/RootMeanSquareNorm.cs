using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Models.Llama;

/// <summary>Divides by the root of the mean square, in float32 whatever the weights are. Zhang and Sennrich (2019).</summary>
internal sealed class RootMeanSquareNorm(ParameterSlot weight, double epsilon) : IModelPart
{
    /// <inheritdoc/>
    public IReadOnlyList<ParameterSlot> Parameters { get; } = [weight];

    /// <inheritdoc/>
    public IReadOnlyList<ILinearSite> Linears => [];

    /// <summary>[.., H] to [.., H]; call it inside a dispose scope.</summary>
    public Tensor Forward(Tensor hidden)
    {
        var wide = hidden.to(ScalarType.Float32);
        var scale = (wide * wide).mean([-1], keepdim: true).add_(epsilon).rsqrt_();
        return (wide * scale).to(hidden.dtype) * weight.Value;
    }
}
