using System.Collections;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Config;

/// <summary>A configuration with all layers merged and substitutions filled in.</summary>
/// <param name="Root">Sections <c>colossalchat</c>, <c>akka</c> and <c>variables</c>, where present.</param>
/// <param name="Problems">Everything wrong so far.</param>
internal sealed record LoadedConfig(ConfigSection Root, IReadOnlyList<ConfigProblem> Problems)
{
    /// <summary>The section of a root key; empty when the configuration has none.</summary>
    public ConfigSection Section(string key) =>
        Root.Children.TryGetValue(key, out var node) && node is ConfigSection section
            ? section
            : new ConfigSection(key, ConfigLoader.DefaultPlace, new Dictionary<string, ConfigNode>());
}

/// <summary>Merges file, environment and command line, in this order.</summary>
internal static class ConfigLoader
{
    public const string Root = "colossalchat";
    public const string Akka = "akka";

    /// <summary>Free names for <c>${variables.x}</c>.</summary>
    public const string Variables = "variables";

    public const string DefaultPlace = "default";
    public const string EnvironmentPrefix = "COLOSSALCHAT_";
    private const string CommandLine = "command line";

    /// <summary>Reads a file with this process's environment.</summary>
    public static LoadedConfig LoadFile(string file, IReadOnlyList<string> overrides) =>
        Load(DiskHoconFiles.ReadMain(file), file, overrides, CurrentEnvironment(), new DiskHoconFiles());

    /// <summary>Reads a file that <see cref="BoundRun.EffectiveText"/> gave: all layers are in it, so nothing lies over it again.</summary>
    public static LoadedConfig LoadEffective(string file) =>
        Load(DiskHoconFiles.ReadMain(file), file, [], new Dictionary<string, string>(), new DiskHoconFiles());

    /// <summary>Merges all layers.</summary>
    /// <param name="text">Content of the file.</param>
    /// <param name="source">Its name, for messages.</param>
    /// <param name="overrides"><c>key=value</c> settings from the command line.</param>
    /// <param name="environment">Environment variables.</param>
    /// <param name="files">Where included files come from.</param>
    public static LoadedConfig Load(
        string text,
        string source,
        IReadOnlyList<string> overrides,
        IReadOnlyDictionary<string, string> environment,
        IHoconFiles files)
    {
        var problems = new List<ConfigProblem>();
        HoconNode root = HoconScanner.Scan(text, source, files, problems);
        root = HoconMerge.Layer(root, FromEnvironment(environment, problems));
        root = HoconMerge.Layer(root, FromCommandLine(overrides, problems));
        var resolved = HoconResolver.Resolve((HoconSection)root, environment, problems);
        CheckRootKeys(resolved, problems);
        return new LoadedConfig(resolved, problems);
    }

    /// <summary>This process's environment variables.</summary>
    public static IReadOnlyDictionary<string, string> CurrentEnvironment() =>
        Environment.GetEnvironmentVariables()
            .Cast<DictionaryEntry>()
            .ToDictionary(entry => (string)entry.Key, entry => entry.Value as string ?? "");

    /// <summary>
    /// <c>COLOSSALCHAT_ROLES__REWARD__USE</c> is <c>roles.reward.use</c>. A variable without a double underscore counts
    /// only when it names a key of the root section, since other programs' variables may begin alike.
    /// </summary>
    private static HoconSection FromEnvironment(IReadOnlyDictionary<string, string> environment, List<ConfigProblem> problems)
    {
        var layer = new HoconSection(new HoconPlace("environment", 0));
        foreach (var (name, value) in environment.OrderBy(entry => entry.Key, StringComparer.Ordinal))
        {
            if (!name.StartsWith(EnvironmentPrefix, StringComparison.Ordinal))
                continue;
            var key = name[EnvironmentPrefix.Length..].Split("__").Select(part => part.ToLowerInvariant().Replace('_', '-')).ToArray();
            var place = new HoconPlace($"environment {name}", 0);
            if (key.Length == 1 && !RunSettings.Keys.Contains(key[0]))
                continue;
            if (key.Any(part => part.Length == 0))
                problems.Add(new ConfigProblem(HoconPath.Join(key), place.ToString(), "the variable's name has an empty part; write COLOSSALCHAT_SECTION__KEY."));
            else
                Set(layer, [Root, .. key], value, place, problems);
        }

        return layer;
    }

    private static HoconSection FromCommandLine(IReadOnlyList<string> overrides, List<ConfigProblem> problems)
    {
        var place = new HoconPlace(CommandLine, 0);
        var layer = new HoconSection(place);
        for (var i = 0; i < overrides.Count; i++)
        {
            var setting = overrides[i];
            var equals = setting.IndexOf('=', StringComparison.Ordinal);
            var key = equals > 0 ? HoconScanner.ScanKey(setting[..equals]) : null;
            if (key is null)
            {
                // A key and its value as two words are one slip.
                var value = equals < 0 && HoconScanner.ScanKey(setting) is not null && i + 1 < overrides.Count && !overrides[i + 1].Contains('=', StringComparison.Ordinal) ? overrides[++i] : null;
                var advice = value is null ? ", such as roles.reward.use=word-reward." : $"; write {setting}={value}.";
                problems.Add(new ConfigProblem(setting, place.ToString(), $"this is not key=value{advice}"));
                continue;
            }

            string[] full = key[0] is Root or Akka or Variables ? [.. key] : [Root, .. key];
            // A later setting of the same key wins over an earlier one, as with any command line.
            var single = new HoconSection(place);
            Set(single, full, setting[(equals + 1)..], place, problems);
            layer = (HoconSection)HoconMerge.Over(layer, single);
        }

        return layer;
    }

    private static void Set(HoconSection layer, IReadOnlyList<string> key, string value, HoconPlace place, List<ConfigProblem> problems)
    {
        if (Parse(value, place, HoconPath.Join(key), problems) is not { } node)
            return;
        var section = layer;
        foreach (var part in key.SkipLast(1))
        {
            if (section.Children.TryGetValue(part, out var child) && child is HoconSection existing)
                section = existing;
            else
                section.Children[part] = section = new HoconSection(place);
        }

        section.Children[key[^1]] = node;
    }

    // Whatever a shell hands over is one text; only what begins like a list, a section or a quote is read as such.
    private static HoconNode? Parse(string value, HoconPlace place, string path, List<ConfigProblem> problems)
    {
        var trimmed = value.Trim();
        return trimmed is ['[' or '{' or '"', ..] || trimmed.Contains("${", StringComparison.Ordinal)
            ? HoconScanner.ScanValue(trimmed, place.Source, path, problems)
            : new HoconText(place, trimmed);
    }

    private static void CheckRootKeys(ConfigSection root, List<ConfigProblem> problems)
    {
        string[] known = [Root, Akka, Variables];
        foreach (var (key, node) in root.Children)
        {
            if (!known.Contains(key))
                problems.Add(new ConfigProblem(
                    HoconPath.Part(key),
                    node.Location,
                    $"this is no root key. {NearestName.Advice(key, known, "root keys")} Names of your own go into the section {Variables}."));
            else if (node is not ConfigSection)
                problems.Add(new ConfigProblem(key, node.Location, "this must be a section; write { } around its keys."));
        }
    }
}
