namespace ColossalChat.Host.Config;

/// <summary>Where a value stands.</summary>
/// <param name="Source">File, <c>environment</c> or <c>command line</c>; values of one source must not overwrite each other.</param>
/// <param name="Line">From 1; 0 when the source has no lines.</param>
internal readonly record struct HoconPlace(string Source, int Line)
{
    /// <inheritdoc/>
    public override string ToString() => Line > 0 ? $"{Source}:{Line}" : Source;
}

/// <summary>What was read, before substitutions are filled in.</summary>
internal abstract class HoconNode(HoconPlace place)
{
    public HoconPlace Place { get; } = place;
}

/// <summary>A section; keys in the order they were first written.</summary>
internal sealed class HoconSection(HoconPlace place) : HoconNode(place)
{
    public OrderedDictionary<string, HoconNode> Children { get; } = new(StringComparer.Ordinal);
}

/// <summary>A list.</summary>
internal sealed class HoconList(HoconPlace place) : HoconNode(place)
{
    public List<HoconNode> Items { get; } = [];
}

/// <summary>A single value.</summary>
internal sealed class HoconText(HoconPlace place, string text, bool isQuoted = false) : HoconNode(place)
{
    public string Text { get; } = text;

    /// <summary>The unquoted word null takes a key away.</summary>
    public bool IsNull { get; } = !isQuoted && text == "null";
}

/// <summary><c>${path}</c> or <c>${?path}</c>.</summary>
internal sealed class HoconReference(HoconPlace place, string path, bool isOptional, IReadOnlyList<string> prefix) : HoconNode(place)
{
    /// <summary>As written between the braces.</summary>
    public string Path { get; } = path;

    public bool IsOptional { get; } = isOptional;

    /// <summary>Section that the file was included into; the path is looked up there first.</summary>
    public IReadOnlyList<string> Prefix { get; } = prefix;
}

/// <summary>Parts written one after the other: texts join to a text, lists to a list, sections to a section.</summary>
internal sealed class HoconJoin(HoconPlace place, IReadOnlyList<HoconNode> parts, bool isLayers = false) : HoconNode(place)
{
    /// <summary>True when each part is a layer over the one before it; see <see cref="HoconMerge.Layer"/>.</summary>
    public bool IsLayers { get; } = isLayers;

    public IReadOnlyList<HoconNode> Parts { get; } = parts;
}
