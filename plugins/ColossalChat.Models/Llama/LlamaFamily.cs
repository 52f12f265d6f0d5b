using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Models.Llama;

/// <summary>LLaMA: grouped-query attention, rotary embeddings, RMSNorm, SwiGLU, tied or untied head.</summary>
internal sealed class LlamaFamily : IModelFamily
{
    /// <summary>As in config.json.</summary>
    public const string Name = "llama";

    /// <inheritdoc/>
    public string ModelType => Name;

    /// <inheritdoc/>
    public ICausalModel Create(string configJson, ScalarType precision, Device device, RandomKey? initialise) =>
        new LlamaModel(LlamaConfig.Parse(configJson), precision, device, initialise);
}
