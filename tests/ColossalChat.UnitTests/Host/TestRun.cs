using ColossalChat.Host.Config;

namespace ColossalChat.UnitTests.Host;

/// <summary>The project's own <c>cluster.hocon</c>, bound with the shipped plugins.</summary>
internal static class TestRun
{
    /// <param name="folder">Folder of runs; the run is <c>story</c> there.</param>
    /// <param name="settings">key=value settings over the file.</param>
    public static BoundRun Bind(string folder, params string[] settings)
    {
        var text = File.ReadAllText(Path.Combine(ShippedPlugins.Root, "cluster.hocon"));
        var config = ConfigLoader.Load(text, "cluster.hocon", [$"run.folder={folder}", "run.name=story", .. settings], new Dictionary<string, string>(), new MemoryFiles());
        return RunBinder.Bind(config, ShippedPlugins.Catalog);
    }
}
