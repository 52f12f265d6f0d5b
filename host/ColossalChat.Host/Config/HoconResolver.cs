using ColossalChat.PluginHost;

namespace ColossalChat.Host.Config;

/// <summary>
/// Fills in <c>${path}</c> and <c>${ENVIRONMENT}</c> after all layers are merged. A value that needs itself, a chain
/// without end and a text that explodes are reported, never followed.
/// </summary>
internal sealed class HoconResolver
{
    private const int LongestChain = 64;
    private const int DeepestPath = 128;
    private const int MostNodes = 100_000;
    private const int MostLookups = 1_000_000;
    private const long MostText = 16 << 20;

    private readonly HoconSection _root;
    private readonly IReadOnlyDictionary<string, string> _environment;
    private readonly ICollection<ConfigProblem> _problems;
    private readonly HashSet<HoconReference> _open = [];
    private readonly HashSet<HoconReference> _unknown = [];
    private int _nodes;
    private int _lookups;
    private long _text;

    private HoconResolver(HoconSection root, IReadOnlyDictionary<string, string> environment, ICollection<ConfigProblem> problems) =>
        (_root, _environment, _problems) = (root, environment, problems);

    /// <summary>The finished tree.</summary>
    public static ConfigSection Resolve(HoconSection root, IReadOnlyDictionary<string, string> environment, ICollection<ConfigProblem> problems)
    {
        var resolver = new HoconResolver(root, environment, problems);
        var resolved = (ConfigSection)resolver.Visit(root, [], "")!;
        if (resolver._nodes >= MostNodes || resolver._lookups >= MostLookups || resolver._text >= MostText)
            problems.Add(new ConfigProblem("(file)", root.Place.ToString(), "with its substitutions filled in, the configuration becomes too large; write fewer ${} inside each other."));
        return resolved;
    }

    // Null means: no value, as after null or an unset ${?x}.
    private ConfigNode? Visit(HoconNode node, IReadOnlyList<string> path, string location)
    {
        if (_nodes >= MostNodes || path.Count > DeepestPath)
        {
            _nodes = MostNodes;
            return null;
        }

        _nodes++;
        location = location.Length > 0 ? location : node.Place.ToString();
        switch (node)
        {
            case HoconSection section:
                return Section(section, path);
            case HoconList list:
                var items = list.Items.Select((item, i) => Visit(item, [.. path, i.ToString(System.Globalization.CultureInfo.InvariantCulture)], ""));
                return new ConfigList(HoconPath.Join(path), location, items.OfType<ConfigNode>().ToArray());
            case HoconText text:
                return text.IsNull ? null : new ConfigValue(HoconPath.Join(path), location, text.Text);
            case HoconReference reference:
                return Reference(reference, path);
            default:
                return Join((HoconJoin)node, path, location);
        }
    }

    private ConfigSection Section(HoconSection section, IReadOnlyList<string> path)
    {
        var children = new OrderedDictionary<string, ConfigNode>();
        foreach (var (key, child) in section.Children)
            if (Visit(child, [.. path, key], "") is { } resolved)
                children[key] = resolved;
        return new ConfigSection(HoconPath.Join(path), section.Place.ToString(), children);
    }

    private ConfigNode? Reference(HoconReference reference, IReadOnlyList<string> path)
    {
        if (!_open.Add(reference) || _open.Count > LongestChain)
        {
            Report(reference, path, $"${{{reference.Path}}} needs itself to be known; write the value out.");
            return null;
        }

        try
        {
            // The place of what it stands for would mislead: the user mends the line that is wrong here.
            if (Find(reference) is { } target)
                return IsAround(target, path) ? SelfReference(reference, path) : Visit(target, path, reference.Place.ToString());
            if (_environment.TryGetValue(reference.Path, out var value))
                return new ConfigValue(HoconPath.Join(path), $"{reference.Place} (environment {reference.Path})", value);
            if (!reference.IsOptional && _unknown.Add(reference))
                Report(reference, path, $"${{{reference.Path}}} is neither a key of this configuration nor an environment variable; set it, or write ${{?{reference.Path}}} when it may be missing.");
            return null;
        }
        finally
        {
            _open.Remove(reference);
        }
    }

    private ConfigNode? SelfReference(HoconReference reference, IReadOnlyList<string> path)
    {
        Report(reference, path, $"${{{reference.Path}}} stands inside {reference.Path} itself; write the value out.");
        return null;
    }

    // A section that holds the reference cannot be its value. Compared by path, because a copy has other nodes.
    private bool IsAround(HoconNode target, IReadOnlyList<string> path)
    {
        HoconNode? node = _root;
        foreach (var key in path)
        {
            if (ReferenceEquals(node, target))
                return true;
            node = node is HoconSection section && section.Children.TryGetValue(key, out var child) ? child : null;
            if (node is null)
                return false;
        }

        return ReferenceEquals(node, target);
    }

    private ConfigNode? Join(HoconJoin join, IReadOnlyList<string> path, string location)
    {
        var parts = new List<ConfigNode>();
        foreach (var part in join.Parts)
        {
            if (part is HoconText { IsNull: true } word)
                parts.Add(new ConfigValue(HoconPath.Join(path), location, word.Text));
            else if (Visit(part, path, location) is { } resolved)
                parts.Add(resolved);
        }

        var full = HoconPath.Join(path);
        if (parts.Count == 0)
            return null;
        if (parts.All(part => part is ConfigValue))
        {
            _text += parts.Sum(part => (long)((ConfigValue)part).Text.Length);
            return _text < MostText ? new ConfigValue(full, location, string.Concat(parts.Select(part => ((ConfigValue)part).Text))) : null;
        }

        if (parts.All(part => part is ConfigList))
            return new ConfigList(full, location, parts.SelectMany(part => ((ConfigList)part).Items).ToArray());
        if (parts.All(part => part is ConfigSection))
            return parts.Cast<ConfigSection>().Aggregate((lower, upper) => Over(lower, upper, join.IsLayers));
        Report(join, path, "a text, a list and a section cannot stand side by side in one value; put quotes around texts, or separate with commas.");
        return null;
    }

    private static ConfigSection Over(ConfigSection lower, ConfigSection upper, bool isLayer)
    {
        if (isLayer && lower.Children.GetValueOrDefault(HoconMerge.Use) is ConfigValue used && upper.Children.GetValueOrDefault(HoconMerge.Use) is ConfigValue uses && used.Text != uses.Text)
            return upper;
        var children = new OrderedDictionary<string, ConfigNode>(lower.Children);
        foreach (var (key, child) in upper.Children)
            children[key] = child is ConfigSection above && children.TryGetValue(key, out var before) && before is ConfigSection below ? Over(below, above, isLayer) : child;
        return upper with { Children = children };
    }

    private HoconNode? Find(HoconReference reference)
    {
        if (HoconScanner.ScanKey(reference.Path) is not { } path)
            return null;
        return (reference.Prefix.Count > 0 ? Find(_root, [.. reference.Prefix, .. path], 0) : null) ?? Find(_root, path, 0);
    }

    private HoconNode? Find(HoconNode? node, IReadOnlyList<string> path, int hops)
    {
        foreach (var key in path)
            node = node is null ? null : Child(node, key, hops);
        return node;
    }

    private HoconNode? Child(HoconNode node, string key, int hops)
    {
        if (hops > LongestChain || _lookups++ >= MostLookups)
            return null;
        switch (node)
        {
            case HoconSection section:
                return section.Children.TryGetValue(key, out var child) ? child : null;
            case HoconReference reference when HoconScanner.ScanKey(reference.Path) is { } path:
                return Find(_root, path, hops + 1) is { } target ? Child(target, key, hops + 1) : null;
            case HoconJoin join:
                HoconNode? found = null;
                foreach (var part in join.Parts)
                    if (Child(part, key, hops + 1) is { } more)
                        found = found is null ? more : join.IsLayers ? HoconMerge.Layer(found, more) : HoconMerge.Over(found, more);
                return found;
            default:
                return null;
        }
    }

    private void Report(HoconNode node, IReadOnlyList<string> path, string message) =>
        _problems.Add(new ConfigProblem(HoconPath.Join(path), node.Place.ToString(), message));
}
