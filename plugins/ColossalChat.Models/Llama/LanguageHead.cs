using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Models.Llama;

/// <summary>Final norm and the layer that gives each token of the vocabulary a logit.</summary>
internal sealed class LanguageHead(NormPart norm, LinearSite output) : IOutputHead
{
    /// <inheritdoc/>
    public IReadOnlyList<ParameterSlot> Parameters { get; } = [.. norm.Parameters, output.Weight];

    /// <inheritdoc/>
    public IReadOnlyList<ILinearSite> Linears { get; } = [output];

    /// <inheritdoc/>
    public Tensor Forward(Tensor hidden)
    {
        using var scope = NewDisposeScope();
        return output.Forward(norm.Forward(hidden)).MoveToOuterDisposeScope();
    }
}
