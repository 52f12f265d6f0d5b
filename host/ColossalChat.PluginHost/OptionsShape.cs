using System.Reflection;
using ColossalChat.Contracts;

namespace ColossalChat.PluginHost;

/// <summary>The keys that an options record takes, and what kinds of properties it may have.</summary>
public sealed class OptionsShape
{
    private OptionsShape(IReadOnlyDictionary<string, PropertyInfo> properties, PropertyInfo? remaining) =>
        (Properties, Remaining) = (properties, remaining);

    /// <summary>Bound properties by kebab-case key, in order of declaration.</summary>
    public IReadOnlyDictionary<string, PropertyInfo> Properties { get; }

    /// <summary>Dictionary that takes all other keys, or null.</summary>
    public PropertyInfo? Remaining { get; }

    /// <summary>The keys of a type.</summary>
    // Made anew at each use: a cache keyed by a plugin's type would keep the plugin in memory.
    public static OptionsShape Of(Type type)
    {
        var bound = type.GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(property => property.SetMethod is { IsPublic: true } && property.GetIndexParameters().Length == 0)
            .ToArray();
        return new OptionsShape(
            bound.Where(property => !IsRemaining(property)).ToDictionary(property => KebabCase.Of(property.Name)),
            Array.Find(bound, IsRemaining));
    }

    /// <summary>True for a record that is bound key by key.</summary>
    public static bool IsRecord(Type type) =>
        type is { IsClass: true, IsAbstract: false, IsGenericType: false } && type != typeof(string)
        && type.GetConstructor(Type.EmptyTypes) is not null;

    /// <summary>The seam of a <see cref="PluginChoice{TSeam}"/>, or null.</summary>
    public static Type? SeamOf(Type type) =>
        type.IsGenericType && type.GetGenericTypeDefinition() == typeof(PluginChoice<>) ? type.GetGenericArguments()[0] : null;

    /// <summary>Element type of a list property, or null.</summary>
    public static Type? ElementOf(Type type)
    {
        if (type.IsArray)
            return type.GetElementType();
        return type.IsGenericType && type.GetGenericTypeDefinition() is var open
            && (open == typeof(IReadOnlyList<>) || open == typeof(IReadOnlyCollection<>) || open == typeof(IEnumerable<>))
            ? type.GetGenericArguments()[0]
            : null;
    }

    /// <summary>Value type of a dictionary property with text keys, or null.</summary>
    public static Type? DictionaryValueOf(Type type) =>
        type.IsGenericType && type.GetGenericTypeDefinition() is var open
            && (open == typeof(IReadOnlyDictionary<,>) || open == typeof(Dictionary<,>))
            && type.GetGenericArguments() is [var key, var value] && key == typeof(string)
            ? value
            : null;

    private static bool IsRemaining(PropertyInfo property) => property.GetCustomAttribute<RemainingKeysAttribute>() is not null;
}
