using ColossalChat.PluginHost;

namespace ColossalChat.Host.Config;

/// <summary>Puts values into sections: keys of one file, included files, layers.</summary>
internal static class HoconMerge
{
    /// <summary>Key that names a section's plugin.</summary>
    public const string Use = "use";

    /// <summary>Adds a key of a file. Sections of one name merge; any other repetition within a file is a problem.</summary>
    public static void Add(HoconSection section, IReadOnlyList<string> path, string key, HoconNode value, ICollection<ConfigProblem> problems)
    {
        if (!section.Children.TryGetValue(key, out var before))
            section.Children[key] = value;
        else if (before is HoconSection into && value is HoconSection from)
            foreach (var (name, child) in from.Children)
                Add(into, [.. path, key], name, child, problems);
        else if (before.Place.Source == value.Place.Source)
            problems.Add(new ConfigProblem(HoconPath.Join([.. path, key]), value.Place.ToString(), $"the key is written twice, first at {before.Place}; keep one of them."));
        else
            section.Children[key] = Over(before, value);
    }

    /// <summary>
    /// Adds an included file's keys. The including file may overwrite them after the include; an include that would
    /// overwrite what stands before it is most likely a mistake.
    /// </summary>
    public static void Include(HoconSection section, IReadOnlyList<string> path, HoconSection included, ICollection<ConfigProblem> problems)
    {
        foreach (var (key, value) in included.Children)
        {
            if (section.Children.TryGetValue(key, out var before) && before is HoconSection into && value is HoconSection from)
                Include(into, [.. path, key], from, problems);
            else if (before is not null && before.Place.Source == section.Place.Source)
                problems.Add(new ConfigProblem(HoconPath.Join([.. path, key]), value.Place.ToString(), $"the included file overwrites {before.Place}; put the include before that line."));
            else
                section.Children[key] = before is null ? value : Over(before, value);
        }
    }

    /// <summary>One value over another of the same layer; the upper one wins, sections merge key by key.</summary>
    public static HoconNode Over(HoconNode lower, HoconNode upper) => Merge(lower, upper, isLayer: false);

    /// <summary>
    /// A layer over another, as <see cref="Over"/>, but a section whose <c>use</c> names another plugin replaces the lower
    /// one: the keys beside the lower <c>use</c> are options of a plugin that is no longer used.
    /// </summary>
    public static HoconNode Layer(HoconNode lower, HoconNode upper) => Merge(lower, upper, isLayer: true);

    private static HoconNode Merge(HoconNode lower, HoconNode upper, bool isLayer)
    {
        if (upper is not HoconSection from)
            return upper;
        if (lower is HoconReference or HoconJoin)
            return new HoconJoin(upper.Place, [lower, upper], isLayer);
        if (lower is not HoconSection below)
            return upper;
        if (isLayer && below.Children.TryGetValue(Use, out var used) && from.Children.TryGetValue(Use, out var uses))
        {
            // What a substitution stands for is known only once all layers are there, so the resolver decides.
            if (used is not HoconText before || uses is not HoconText now)
                return new HoconJoin(upper.Place, [lower, upper], isLayers: true);
            if (!before.IsNull && !now.IsNull && before.Text != now.Text)
                return upper;
        }

        var merged = new HoconSection(lower.Place);
        foreach (var (key, child) in below.Children)
            merged.Children[key] = child;
        foreach (var (key, child) in from.Children)
            merged.Children[key] = merged.Children.TryGetValue(key, out var old) ? Merge(old, child, isLayer) : child;
        return merged;
    }
}
