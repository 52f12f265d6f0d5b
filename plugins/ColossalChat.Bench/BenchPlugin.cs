using ColossalChat.Contracts;

namespace ColossalChat.Bench;

/// <summary>Verbs that measure training, generation and collectives and print JSON.</summary>
public sealed class BenchPlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry)
    {
        registry.Add<ICliCommand, NoOptions>("bench-collective", (_, _) => new CollectiveBenchCommand());
        registry.Add<ICliCommand, NoOptions>("bench-generate", (_, _) => new GenerateBenchCommand());
        registry.Add<ICliCommand, NoOptions>("bench-train", (_, _) => new TrainBenchCommand());
    }
}
