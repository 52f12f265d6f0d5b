using ColossalChat.Contracts;

namespace ColossalChat.PluginHost;

/// <summary>
/// Binds configuration sections to options records. Keys are the properties' names in kebab case; whatever is not right
/// becomes a problem, and all problems are found at once.
/// </summary>
public static class OptionsBinder
{
    /// <summary>Key that picks a plugin in its section.</summary>
    public const string UseKey = "use";

    /// <summary>Binds a section and checks the result.</summary>
    /// <param name="optionsType">Record with a parameterless constructor and init-only properties.</param>
    /// <param name="section">Its section.</param>
    /// <param name="catalog">Where nested plugin choices are looked up.</param>
    /// <param name="problems">Takes everything that is wrong.</param>
    /// <param name="ignoreKey">A key that is the caller's own, such as <c>use</c>.</param>
    /// <returns>The options, or null when there was any problem.</returns>
    public static object? Bind(
        Type optionsType, ConfigSection section, PluginCatalog catalog, ICollection<ConfigProblem> problems, string? ignoreKey = null)
    {
        var found = new List<ConfigProblem>();
        var options = new OptionsReader(catalog, found).ReadRecord(optionsType, null, section, ignoreKey);
        return Hand(options, found, problems);
    }

    /// <summary>Binds a section and checks the result.</summary>
    /// <typeparam name="TOptions">Record with init-only properties.</typeparam>
    /// <returns>The options, or null when there was any problem.</returns>
    public static TOptions? Bind<TOptions>(ConfigSection section, PluginCatalog catalog, ICollection<ConfigProblem> problems)
        where TOptions : class => (TOptions?)Bind(typeof(TOptions), section, catalog, problems);

    /// <summary>Reads a choice of plugin: a section with <c>use</c> and the plugin's options, or just its name.</summary>
    /// <typeparam name="TSeam">Seam that the plugin must fill.</typeparam>
    /// <param name="node">What is configured there; null when nothing is.</param>
    /// <param name="path">Full key path, for problems when nothing is configured.</param>
    /// <param name="defaultName">Factory used when the configuration names none; null makes that a problem.</param>
    /// <param name="catalog">Where the factory is looked up.</param>
    /// <param name="problems">Takes everything that is wrong.</param>
    /// <returns>The choice with its options bound, or null when there was any problem.</returns>
    public static PluginChoice<TSeam>? BindChoice<TSeam>(
        ConfigNode? node, string path, string? defaultName, PluginCatalog catalog, ICollection<ConfigProblem> problems)
        where TSeam : class
    {
        var found = new List<ConfigProblem>();
        var choice = new OptionsReader(catalog, found).ReadChoice(typeof(TSeam), node ?? Absent(path), defaultName);
        return (PluginChoice<TSeam>?)Hand(choice, found, problems);
    }

    /// <summary>The keys of an options record, nested ones with dots, for help pages.</summary>
    public static IReadOnlyList<OptionDescription> Describe(Type optionsType) => OptionsDescriber.Describe(optionsType);

    /// <summary>An empty section that stands for one that is not written.</summary>
    internal static ConfigSection Absent(string path) => new(path, "default", new Dictionary<string, ConfigNode>());

    private static object? Hand(object? result, List<ConfigProblem> found, ICollection<ConfigProblem> problems)
    {
        foreach (var problem in found)
            problems.Add(problem);
        return found.Count == 0 ? result : null;
    }
}
