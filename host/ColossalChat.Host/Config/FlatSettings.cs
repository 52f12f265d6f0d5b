using ColossalChat.Contracts;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Config;

/// <summary>An effective configuration as keys and texts, to set two of them side by side.</summary>
internal static class FlatSettings
{
    private const string Stage = "stage.use";

    /// <summary>Those of a file that a run wrote.</summary>
    public static OrderedDictionary<string, string> OfFile(string file) => Of(File.ReadAllText(file), file);

    /// <summary>Those of a text; keys without the root section.</summary>
    public static OrderedDictionary<string, string> Of(string text, string source)
    {
        var flat = new OrderedDictionary<string, string>();
        // Only what the run wrote counts: neither this shell's environment nor includes.
        var config = ConfigLoader.Load(text, source, [], new Dictionary<string, string>(), new NoHoconFiles());
        Add(config.Section(ConfigLoader.Root), "");
        return flat;

        void Add(ConfigNode node, string key)
        {
            if (node is ConfigSection section)
                foreach (var (name, child) in section.Children)
                    Add(child, key.Length == 0 ? name : $"{key}.{name}");
            else
                flat[key] = node is ConfigValue value ? value.Text : HoconWriter.Write(new ConfigSection("", "", new Dictionary<string, ConfigNode> { ["list"] = node }))["list = ".Length..].TrimEnd();
        }
    }

    /// <summary>Keys whose values differ, or that only one side has.</summary>
    public static IReadOnlyList<string> Differing(IReadOnlyDictionary<string, string> one, IReadOnlyDictionary<string, string> other) =>
        [.. one.Keys.Union(other.Keys).Where(key => one.GetValueOrDefault(key) != other.GetValueOrDefault(key))];

    /// <summary>A run goes on with the stage it began with.</summary>
    /// <exception cref="UserErrorException">The stages differ.</exception>
    public static void CheckStage(IReadOnlyDictionary<string, string> before, IReadOnlyDictionary<string, string> now, string runFolder)
    {
        if (before.TryGetValue(Stage, out var was) && now.TryGetValue(Stage, out var wanted) && was != wanted)
            throw new UserErrorException(
                $"--resume: {runFolder} is a run of stage {was}, and this is stage {wanted}; nothing was changed. Resume it with train {was}, or start without --resume.",
                ExitCode.Usage);
    }
}
