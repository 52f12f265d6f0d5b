using ColossalChat.Contracts;

namespace ColossalChat.Quickstart;

/// <summary>The whole road on built-in data.</summary>
public sealed class QuickstartPlugin : IPlugin
{
    /// <inheritdoc/>
    public void Register(IPluginRegistry registry) =>
        registry.Add<ICliCommand, NoOptions>("quickstart", (_, _) => new QuickstartCommand());
}
