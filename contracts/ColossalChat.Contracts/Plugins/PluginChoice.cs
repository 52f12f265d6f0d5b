namespace ColossalChat.Contracts;

/// <summary>
/// A plugin picked by name in the configuration, with its options bound and checked. In an options record a property of
/// this type is a section such as <c>policy-loss { use = ppo-clip, clip-range = 0.2 }</c>, or just <c>policy-loss = ppo-clip</c>:
/// <c>use</c> names the factory, the other keys are its options.
/// </summary>
/// <typeparam name="TSeam">The seam that the named factory must fill.</typeparam>
/// <param name="Name">The factory's name.</param>
/// <param name="Options">The bound options record of that factory; null asks for its defaults.</param>
public sealed record PluginChoice<TSeam>(string Name, object? Options = null)
    where TSeam : class;

/// <summary>An options record that can say what is wrong with itself.</summary>
public interface ICheckedOptions
{
    /// <summary>
    /// Everything wrong with these settings, one sentence each; none when all is well. A sentence starts with the key
    /// relative to this section in kebab case: <c>clip-range is 1.5; it must be above 0 and below 1.</c>
    /// </summary>
    IEnumerable<string> Problems();
}

/// <summary>
/// Marks the dictionary property of an options record that takes every key which no other property claims
/// (a section whose keys are names of the user's own, such as <c>models</c>).
/// </summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class RemainingKeysAttribute : Attribute;

/// <summary>
/// Marks a <see cref="PluginChoice{TSeam}"/> property whose section may leave out <c>use</c>.
/// </summary>
/// <param name="name">The factory used then.</param>
[AttributeUsage(AttributeTargets.Property)]
public sealed class DefaultPluginAttribute(string name) : Attribute
{
    /// <summary>The factory used when the section does not say.</summary>
    public string Name { get; } = name;
}
