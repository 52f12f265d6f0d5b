using ColossalChat.Host.Config;
using ColossalChat.PluginHost;

namespace ColossalChat.UnitTests.Host;

/// <summary>Configuration files in memory.</summary>
internal sealed class MemoryFiles(params (string Name, string Text)[] files) : IHoconFiles
{
    private static readonly IReadOnlyDictionary<string, string> s_noEnvironment = new Dictionary<string, string>();

    public string Beside(string source, string name) => name;

    public string? Read(string file) => files.FirstOrDefault(candidate => candidate.Name == file).Text;

    /// <summary>Loads main.hocon with the given text.</summary>
    public static LoadedConfig Load(
        string text,
        IReadOnlyList<string>? overrides = null,
        IReadOnlyDictionary<string, string>? environment = null,
        params (string Name, string Text)[] others) =>
        ConfigLoader.Load(text, "main.hocon", overrides ?? [], environment ?? s_noEnvironment, new MemoryFiles(others));
}

/// <summary>Short ways to look into a configuration.</summary>
internal static class ConfigLook
{
    /// <summary>What <see cref="At"/> gives for a key that is not there.</summary>
    public const string Absent = "(absent)";

    /// <summary>The value of a path below the root.</summary>
    public static string At(this LoadedConfig config, string path) => (config.Node(path) as ConfigValue)?.Text ?? Absent;

    public static ConfigNode? Node(this LoadedConfig config, string path)
    {
        ConfigNode? node = config.Root;
        foreach (var key in HoconPath.Split(path))
            node = node is ConfigSection section && section.Children.TryGetValue(key, out var child) ? child : null;
        return node;
    }

    public static string[] Items(this LoadedConfig config, string path) =>
        config.Node(path) is ConfigList list ? [.. list.Items.Cast<ConfigValue>().Select(item => item.Text)] : [];

    public static string Lines(this LoadedConfig config) => string.Join('\n', config.Problems);
}
