using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Zero;

/// <summary>Collectives over ranks.</summary>
public sealed class ZeroPlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry)
    {
        registry.Add<ICollectiveFactory, CollectiveOptions>("auto", (options, _) => new AutoCollectiveFactory(options));
        registry.Add<ICollectiveFactory, CollectiveOptions>("nccl", (options, _) => new NcclCollectiveFactory(options));
        registry.Add<ICollectiveFactory, CollectiveOptions>("ring", (options, _) => new RingCollectiveFactory(options));
        registry.Add<ICollectiveFactory, CollectiveOptions>("shared-memory", (options, _) => new SharedMemoryCollectiveFactory(options));
    }
}
