using System.Collections;
using System.Globalization;
using System.Reflection;
using ColossalChat.Contracts;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Config;

/// <summary>
/// Writes bound settings back as a tree, defaults included, so that a run's effective configuration says everything and
/// binds to the same settings again even when defaults change later.
/// </summary>
internal sealed class SettingsTree(PluginCatalog catalog)
{
    /// <summary>The section of an options record.</summary>
    /// <param name="options">The record.</param>
    /// <param name="path">Full key path of the section.</param>
    /// <param name="origin">The configuration it was bound from; gives places.</param>
    public ConfigSection Of(object options, string path, ConfigNode? origin) => Section(options, path, origin, []);

    private ConfigSection Section(object options, string path, ConfigNode? origin, IEnumerable<KeyValuePair<string, ConfigNode>> first)
    {
        var children = new OrderedDictionary<string, ConfigNode>(first);
        var defaults = Activator.CreateInstance(options.GetType());
        foreach (var property in options.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            if (property.SetMethod is not { IsPublic: true } || property.GetIndexParameters().Length > 0)
                continue;
            var value = property.GetValue(options);
            if (property.GetCustomAttribute<RemainingKeysAttribute>() is not null && value is IDictionary rest)
                foreach (DictionaryEntry entry in rest)
                    Put(children, (string)entry.Key, entry.Value, path, origin);
            else if (value is not null || property.GetValue(defaults) is not null)
                Put(children, KebabCase.Of(property.Name), value, path, origin);
        }

        return new ConfigSection(path, Place(origin), children);
    }

    private void Put(OrderedDictionary<string, ConfigNode> children, string key, object? value, string path, ConfigNode? origin) =>
        children[key] = Node(value, $"{path}.{HoconPath.Part(key)}", (origin as ConfigSection)?.Children.GetValueOrDefault(key));

    private ConfigNode Node(object? value, string path, ConfigNode? origin)
    {
        var place = Place(origin);
        switch (value)
        {
            case null:
                return new ConfigValue(path, place, "none");
            case ConfigNode node:
                return node;
            case string text:
                return new ConfigValue(path, place, text);
            case not null when ScalarText.IsScalar(value.GetType()):
                return new ConfigValue(path, place, ScalarText.Format(value));
            case IDictionary dictionary:
                var entries = new OrderedDictionary<string, ConfigNode>();
                foreach (DictionaryEntry entry in dictionary)
                    Put(entries, (string)entry.Key, entry.Value, path, origin);
                return new ConfigSection(path, place, entries);
            case IEnumerable items:
                var origins = (origin as ConfigList)?.Items ?? [];
                return new ConfigList(path, place, items.Cast<object?>()
                    .Select((item, i) => Node(item, string.Create(CultureInfo.InvariantCulture, $"{path}.{i}"), origins.ElementAtOrDefault(i))).ToArray());
        }

        var type = value.GetType();
        if (!type.IsGenericType || type.GetGenericTypeDefinition() != typeof(PluginChoice<>))
            return Section(value, path, origin, []);
        var name = (string)type.GetProperty(nameof(PluginChoice<object>.Name))!.GetValue(value)!;
        var options = type.GetProperty(nameof(PluginChoice<object>.Options))!.GetValue(value) ?? Defaults(type.GetGenericArguments()[0], name, path);
        var use = new ConfigValue($"{path}.{OptionsBinder.UseKey}", Place((origin as ConfigSection)?.Children.GetValueOrDefault(OptionsBinder.UseKey) ?? origin), name);
        KeyValuePair<string, ConfigNode>[] first = [new(OptionsBinder.UseKey, use)];
        return options is null ? new ConfigSection(path, place, new OrderedDictionary<string, ConfigNode>(first)) : Section(options, path, origin, first);
    }

    // A choice that nobody configured carries no options; what its plugin will take is written out all the same.
    private object? Defaults(Type seam, string name, string path) =>
        catalog.Find(seam, name) is { } factory
            ? OptionsBinder.Bind(factory.OptionsType, new ConfigSection(path, ConfigLoader.DefaultPlace, new Dictionary<string, ConfigNode>()), catalog, new List<ConfigProblem>())
            : null;

    private static string Place(ConfigNode? origin) => origin?.Location ?? ConfigLoader.DefaultPlace;
}
