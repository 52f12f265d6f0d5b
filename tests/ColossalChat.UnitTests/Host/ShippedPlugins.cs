using ColossalChat.PluginHost;

namespace ColossalChat.UnitTests.Host;

/// <summary>The plugins that the host's build puts beside the host, loaded once for all tests.</summary>
internal static class ShippedPlugins
{
    /// <summary>The repository.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Folder of the shipped plugins, of the same build kind as the tests.</summary>
    public static string Folder { get; } = Path.Combine(
        Root, "host", "ColossalChat.Host", "bin", AppContext.BaseDirectory.Contains("Release", StringComparison.Ordinal) ? "Release" : "Debug", "net10.0", "plugins");

    private static readonly Lazy<PluginCatalog> s_catalog =
        new(() => PluginCatalog.Load([Folder], new Dictionary<string, string>(), _ => { }));

    public static PluginCatalog Catalog => s_catalog.Value;

    private static string FindRoot()
    {
        if (Environment.GetEnvironmentVariable("COLOSSALCHAT_ROOT") is { Length: > 0 } given)
            return given;
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "ColossalChat.sln")))
                return folder.FullName;
        throw new DirectoryNotFoundException("These tests run inside the repository, which ColossalChat.sln marks.");
    }
}
