using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Models.Llama;

/// <summary>A root-mean-square norm and its weight.</summary>
internal sealed class NormPart(ParameterSlot weight, double epsilon) : IModelPart
{
    /// <inheritdoc/>
    public IReadOnlyList<ParameterSlot> Parameters { get; } = [weight];

    /// <inheritdoc/>
    public IReadOnlyList<ILinearSite> Linears => [];

    /// <summary>[.., H] to [.., H]; call it inside a dispose scope.</summary>
    public Tensor Forward(Tensor hidden) => RootMeanSquareNorm.Of(hidden, weight.Value, epsilon);
}
