using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Ptx;

/// <summary>Registers <c>ptx</c>, the pretraining loss mixed into PPO (Ouyang et al., arXiv 2203.02155).</summary>
public sealed class PtxPlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry) =>
        registry.Add<IExtraLoss, PtxOptions>("ptx", (options, context) => new PtxLoss(options, context));
}
