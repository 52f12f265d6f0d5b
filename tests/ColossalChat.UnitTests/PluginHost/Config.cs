using ColossalChat.PluginHost;

namespace ColossalChat.UnitTests.PluginHost;

/// <summary>Writes configuration nodes short: text is a value, an array a list, pairs a section.</summary>
internal static class Config
{
    public static ConfigSection Section(params (string Key, object Node)[] children) => Section("root", children);

    private static ConfigSection Section(string path, (string Key, object Node)[] children) =>
        new(path, "test.hocon:1", children.ToDictionary(child => child.Key, child => Node($"{path}.{child.Key}", child.Node)));

    private static ConfigNode Node(string path, object node) => node switch
    {
        string text => new ConfigValue(path, "test.hocon:2", text),
        (string, object)[] children => Section(path, children),
        object[] items => new ConfigList(path, "test.hocon:3", [.. items.Select((item, i) => Node($"{path}[{i}]", item))]),
        _ => throw new ArgumentException($"{node} is no configuration node", nameof(node)),
    };
}
