using ColossalChat.Contracts;

namespace ColossalChat.PluginHost.Verbs;

/// <summary>The verbs about plugins.</summary>
public static class PluginVerbs
{
    /// <summary>All of them, over the plugins that the host loaded.</summary>
    public static IReadOnlyList<ICliCommand> All(PluginCatalog catalog) =>
        [new PluginListCommand(catalog), new PluginInfoCommand(catalog), new PluginVerifyCommand(catalog), new PluginNewCommand()];
}
