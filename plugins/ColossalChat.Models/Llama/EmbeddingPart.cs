using ColossalChat.Contracts.Torch;

namespace ColossalChat.Models.Llama;

/// <summary>The token embedding's parameters.</summary>
internal sealed class EmbeddingPart(ParameterSlot weight) : IModelPart
{
    /// <summary>[V, H].</summary>
    public ParameterSlot Weight { get; } = weight;

    /// <inheritdoc/>
    public IReadOnlyList<ParameterSlot> Parameters { get; } = [weight];

    /// <inheritdoc/>
    public IReadOnlyList<ILinearSite> Linears => [];
}
