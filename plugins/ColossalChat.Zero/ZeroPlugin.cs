using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Zero;

/// <summary>Offers sharding strategies, and collectives over ranks.</summary>
public sealed class ZeroPlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry)
    {
        foreach (var (name, level) in new[]
        {
            (ZeroStrategy.None, ShardingLevel.Nothing),
            ("ddp", ShardingLevel.Nothing),
            ("zero1", ShardingLevel.States),
            ("zero2", ShardingLevel.Gradients),
            ("zero3", ShardingLevel.Weights),
        })
            registry.Add<IShardingStrategy, NoOptions>(name, (_, _) => new ZeroStrategy(name, level));
        registry.Add<IShardingStrategy, GeminiOptions>("gemini", (options, _) => new GeminiStrategy(options));
        registry.Add<ICollectiveFactory, CollectiveOptions>("auto", (options, _) => new AutoCollectiveFactory(options));
        registry.Add<ICollectiveFactory, CollectiveOptions>("nccl", (options, _) => new NcclCollectiveFactory(options));
        registry.Add<ICollectiveFactory, CollectiveOptions>("ring", (options, _) => new RingCollectiveFactory(options));
        registry.Add<ICollectiveFactory, CollectiveOptions>("shared-memory", (options, _) => new SharedMemoryCollectiveFactory(options));
    }
}
