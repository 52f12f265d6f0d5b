namespace ColossalChat.PluginHost;

/// <summary>A place in a configuration, with the file and line it came from.</summary>
/// <param name="Path">Full key path, such as <c>colossalchat.roles.reward.use</c>.</param>
/// <param name="Location"><c>file:line</c>, <c>environment</c>, <c>command line</c> or <c>default</c>.</param>
public abstract record ConfigNode(string Path, string Location);

/// <summary>A section.</summary>
/// <param name="Path">Full key path.</param>
/// <param name="Location">Where it came from.</param>
/// <param name="Children">By key, as written (kebab case).</param>
public sealed record ConfigSection(string Path, string Location, IReadOnlyDictionary<string, ConfigNode> Children)
    : ConfigNode(Path, Location);

/// <summary>A list.</summary>
/// <param name="Path">Full key path.</param>
/// <param name="Location">Where it came from.</param>
/// <param name="Items">In order.</param>
public sealed record ConfigList(string Path, string Location, IReadOnlyList<ConfigNode> Items)
    : ConfigNode(Path, Location);

/// <summary>A single value.</summary>
/// <param name="Path">Full key path.</param>
/// <param name="Location">Where it came from.</param>
/// <param name="Text">As written, without quotes.</param>
public sealed record ConfigValue(string Path, string Location, string Text)
    : ConfigNode(Path, Location);

/// <summary>One thing wrong with a configuration.</summary>
/// <param name="Path">Full key path.</param>
/// <param name="Location">Where it is.</param>
/// <param name="Message">One sentence with value, what is allowed and the next step.</param>
public sealed record ConfigProblem(string Path, string Location, string Message)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Location}: {Path}: {Message}";
}
