using ColossalChat.Contracts;

namespace ColossalChat.PluginHost.Verbs;

/// <summary>The verbs about plugins.</summary>
public static class PluginVerbs
{
    /// <summary>All of them.</summary>
    /// <param name="catalog">The plugins that the host loaded.</param>
    /// <param name="pinsOf">Reads what a run configuration pins.</param>
    public static IReadOnlyList<ICliCommand> All(PluginCatalog catalog, PinReader pinsOf) =>
        [new PluginListCommand(catalog), new PluginInfoCommand(catalog), new PluginVerifyCommand(catalog, pinsOf), new PluginNewCommand()];
}
