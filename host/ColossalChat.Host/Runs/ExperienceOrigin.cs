using System.IO.Hashing;
using System.Text;
using ColossalChat.Host.Config;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Runs;

/// <summary>
/// One name for all that answers and scores come from besides the weights that a run publishes: settings of the roles that make
/// them, models, plugins, and the files that these settings name. Algorithms are not in it: they only see what was made.
/// </summary>
internal static class ExperienceOrigin
{
    private const int Sample = 1 << 20;
    private static readonly string[] s_roles = ["prompts", "rollout", "reference", "critic", "reward"];

    /// <summary>The origin of a run, as 32 hexadecimal digits.</summary>
    public static string Of(BoundRun bound)
    {
        var (settings, plan) = (bound.Settings, bound.Plan);
        var root = new SettingsTree(bound.Catalog).Of(settings, ConfigLoader.Root, null);
        var (hash, text) = (new XxHash128(), new StringBuilder());
        text.AppendLine(string.Join(' ', settings.Stage.Name, settings.Seed, settings.Device, plan.PromptsPerIteration, plan.AnswersPerPrompt, plan.RowsPerBatch));
        ConfigNode?[] sources = [root.Children.GetValueOrDefault("models"), .. s_roles.Select(role => (root.Children.GetValueOrDefault("roles") as ConfigSection)?.Children.GetValueOrDefault(role))];
        foreach (var source in sources.OfType<ConfigSection>())
            text.AppendLine(source.Path).AppendLine(HoconWriter.Write(source));
        foreach (var plugin in bound.Catalog.Plugins.OrderBy(plugin => plugin.Name, StringComparer.Ordinal))
            text.AppendLine(plugin.Name).AppendLine(plugin.Sha256);
        hash.Append(Encoding.UTF8.GetBytes(text.ToString()));
        foreach (var path in sources.OfType<ConfigSection>().SelectMany(Values).Distinct(StringComparer.Ordinal))
            AppendFiles(hash, path);
        return Convert.ToHexStringLower(hash.GetCurrentHash());
    }

    private static IEnumerable<string> Values(ConfigNode node) => node switch
    {
        ConfigValue value => [value.Text],
        ConfigList list => list.Items.SelectMany(Values),
        ConfigSection section => section.Children.Values.SelectMany(Values),
        _ => [],
    };

    private static void AppendFiles(XxHash128 hash, string path)
    {
        var files = File.Exists(path) ? [path] : Directory.Exists(path) ? Directory.GetFiles(path).Order(StringComparer.Ordinal) : Enumerable.Empty<string>();
        foreach (var file in files)
            AppendFile(hash, file);
    }

    // Name, length, beginning and end: a model of many gigabytes is not read for it.
    private static void AppendFile(XxHash128 hash, string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        hash.Append(Encoding.UTF8.GetBytes($"{Path.GetFileName(path)} {file.Length}\n"));
        var sample = new byte[(int)Math.Min(Sample, file.Length)];
        file.ReadExactly(sample);
        hash.Append(sample);
        file.Position = file.Length - sample.Length;
        file.ReadExactly(sample);
        hash.Append(sample);
    }
}
