using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.Serialization;

namespace ColossalChat.UnitTests.Deploy;

/// <summary>Documents of a YAML file, merge keys filled in.</summary>
internal static class YamlFile
{
    public static IReadOnlyList<YamlNode> Read(string file)
    {
        using var reader = new StreamReader(file);
        var parser = new MergingParser(new Parser(reader));
        var deserializer = new DeserializerBuilder().WithDuplicateKeyChecking().Build();
        var documents = new List<YamlNode>();
        parser.Consume<StreamStart>();
        while (parser.Accept<DocumentStart>(out _))
            documents.Add(new YamlNode(deserializer.Deserialize<object>(parser)));
        return documents;
    }
}

/// <summary>A place in a YAML document; what is not there has no value, no keys and no items.</summary>
internal sealed record YamlNode(object? Value)
{
    public YamlNode this[string key] => new(Value is Dictionary<object, object> map ? map.GetValueOrDefault(key) : null);

    public bool IsThere => Value is not null;

    public string Text => Value as string ?? "";

    public IReadOnlyList<string> Keys => Value is Dictionary<object, object> map ? [.. map.Keys.Cast<string>()] : [];

    public IReadOnlyList<YamlNode> Items => Value is List<object> list ? [.. list.Select(item => new YamlNode(item))] : [];

    public IReadOnlyList<string> Texts => [.. Items.Select(item => item.Text)];

    public IReadOnlyDictionary<string, string> Pairs => Keys.ToDictionary(key => key, key => this[key].Text);
}
