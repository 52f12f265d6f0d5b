using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Lora;

/// <summary>Registers <c>lora</c>, low-rank adapters (Hu et al., arXiv 2106.09685).</summary>
public sealed class LoraPlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry) =>
        registry.Add<IModelAdapter, LoraOptions>("lora", (options, _) => new LoraAdapter(options));
}
