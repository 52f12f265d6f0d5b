using ColossalChat.Contracts.Torch;

namespace ColossalChat.Models.Llama;

/// <summary>Ways to walk over a model's parameters.</summary>
internal static class ModelParameters
{
    /// <summary>Every parameter once, tied ones too: embedding, blocks, language head.</summary>
    public static IReadOnlyList<ParameterSlot> AllParameters(this ICausalModel model) =>
        [.. model.Embedding.Parameters
            .Concat(model.Blocks.SelectMany(block => block.Parameters))
            .Concat(model.LanguageHead.Parameters)
            .Distinct(ReferenceEqualityComparer.Instance)
            .Cast<ParameterSlot>()];

    /// <summary>The parameters of the body alone: without those that only the language head has.</summary>
    public static IReadOnlyList<ParameterSlot> BodyParameters(this ICausalModel model) =>
        [.. model.Embedding.Parameters
            .Concat(model.Blocks.SelectMany(block => block.Parameters))
            .Concat(model.FinalNorm.Parameters)
            .Distinct(ReferenceEqualityComparer.Instance)
            .Cast<ParameterSlot>()];
}
