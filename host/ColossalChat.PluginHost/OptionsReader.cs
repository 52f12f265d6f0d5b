using System.Collections;
using System.Reflection;
using System.Runtime.CompilerServices;
using ColossalChat.Contracts;

namespace ColossalChat.PluginHost;

/// <summary>One binding: walks records and nodes together and notes every problem.</summary>
internal sealed class OptionsReader(PluginCatalog catalog, List<ConfigProblem> problems)
{
    // Deeper nesting only happens when plugins name each other as their defaults in a circle.
    private const int MaxDepth = 32;
    private const string Bindable = "numbers, text, flags, durations, enums, lists, dictionaries by text, records or PluginChoice";
    private int _depth;

    /// <summary>Reads a section into a record that starts from <paramref name="start"/>, or from the type's defaults.</summary>
    public object? ReadRecord(Type type, object? start, ConfigSection section, string? ignoreKey)
    {
        if (_depth == MaxDepth)
            return Fail(section, $"plugins choose each other as their defaults in a circle; name one of them with '{OptionsBinder.UseKey}'.");
        _depth++;
        try
        {
            var shape = OptionsShape.Of(type);
            var target = NewRecord(type, start);
            foreach (var (key, property) in shape.Properties)
                ReadProperty(target, key, property, section);
            ReadRemaining(target, shape, section, ignoreKey);
            CheckItself(target, section);
            return target;
        }
        finally
        {
            _depth--;
        }
    }

    /// <summary>Reads a plugin choice.</summary>
    /// <returns>A <see cref="PluginChoice{TSeam}"/>, or null when it has a problem.</returns>
    public object? ReadChoice(Type seam, ConfigNode node, string? defaultName)
    {
        var kind = KebabCase.OfSeam(seam);
        var name = NameIn(node) ?? defaultName;
        if (node is ConfigList)
            return Fail(node, $"expected the name of a {kind}, or a section with '{OptionsBinder.UseKey}'; found a list.");
        if (name is null)
            return Fail(node, $"it does not say which {kind} to use. Write {OptionsBinder.UseKey} = NAME. {NearestName.Advice("", catalog.NamesOf(seam), "names")}");
        if (catalog.Find(seam, name) is not { } factory)
            return Fail(UseNode(node), $"there is no {kind} '{name}'. {NearestName.Advice(name, catalog.NamesOf(seam), "names")} Is its plugin folder missing or refused?");

        var section = node as ConfigSection ?? new ConfigSection(node.Path, node.Location, new Dictionary<string, ConfigNode>());
        var options = ReadRecord(factory.OptionsType, null, section, OptionsBinder.UseKey);
        return Activator.CreateInstance(typeof(PluginChoice<>).MakeGenericType(seam), name, options);
    }

    private static string? NameIn(ConfigNode node) => node switch
    {
        ConfigValue value => value.Text,
        ConfigSection section when section.Children.GetValueOrDefault(OptionsBinder.UseKey) is ConfigValue use => use.Text,
        _ => null,
    };

    private static ConfigNode UseNode(ConfigNode node) =>
        node is ConfigSection section && section.Children.TryGetValue(OptionsBinder.UseKey, out var use) ? use : node;

    private void ReadProperty(object target, string key, PropertyInfo property, ConfigSection section)
    {
        var current = property.GetValue(target);
        var defaultName = property.GetCustomAttribute<DefaultPluginAttribute>()?.Name;
        if (section.Children.TryGetValue(key, out var node))
        {
            if (TryRead(property.PropertyType, node, current, defaultName, out var value))
                property.SetValue(target, value);
            return;
        }

        var absent = OptionsBinder.Absent($"{section.Path}.{key}") with { Location = section.Location };
        if (property.GetCustomAttribute<RequiredMemberAttribute>() is not null)
            Fail(absent, $"this key must be given: {OptionsDescriber.TypeText(property.PropertyType)}.");
        else if (OptionsShape.SeamOf(property.PropertyType) is { } seam && current is null && defaultName is not null)
            property.SetValue(target, ReadChoice(seam, absent, defaultName));
        else if (current is ICheckedOptions)
            CheckItself(current, absent);
    }

    private void ReadRemaining(object target, OptionsShape shape, ConfigSection section, string? ignoreKey)
    {
        var unclaimed = section.Children.Where(child => child.Key != ignoreKey && !shape.Properties.ContainsKey(child.Key)).ToArray();
        if (shape.Remaining is { } remaining)
        {
            var rest = section with { Children = unclaimed.ToDictionary() };
            var defaultName = remaining.GetCustomAttribute<DefaultPluginAttribute>()?.Name;
            if (unclaimed.Length > 0 && TryRead(remaining.PropertyType, rest, remaining.GetValue(target), defaultName, out var value))
                remaining.SetValue(target, value);
            return;
        }

        foreach (var (key, node) in unclaimed)
            Fail(node, $"unknown key '{key}'. {NearestName.Advice(key, [.. shape.Properties.Keys], "keys here")}");
    }

    private bool TryRead(Type type, ConfigNode node, object? current, string? defaultName, out object? value)
    {
        var before = problems.Count;
        value = Read(type, node, current, defaultName);
        return problems.Count == before;
    }

    private object? Read(Type type, ConfigNode node, object? current, string? defaultName)
    {
        if (type.IsAssignableTo(typeof(ConfigNode)) && type.IsInstanceOfType(node))
            return node;
        if (ScalarText.IsScalar(type))
            return ReadScalar(type, node);
        if (OptionsShape.ElementOf(type) is { } element)
            return ReadList(element, node, defaultName);
        if (OptionsShape.DictionaryValueOf(type) is { } valueType)
            return ReadDictionary(valueType, node, defaultName);
        if (node is ConfigValue { Text: var text } && ScalarText.IsNone(text))
            return null;
        if (OptionsShape.SeamOf(type) is { } seam)
            return ReadChoice(seam, node, defaultName ?? ChosenIn(current));
        if (!OptionsShape.IsRecord(type))
            return Fail(node, $"this host cannot bind options of type {type.Name}. Ask the plugin's author to use {Bindable}.");
        return node is ConfigSection section ? ReadRecord(type, current, section, null) : FailType(type, node);
    }

    private static string? ChosenIn(object? choice) =>
        (string?)choice?.GetType().GetProperty(nameof(PluginChoice<object>.Name))?.GetValue(choice);

    private object? ReadScalar(Type type, ConfigNode node)
    {
        if (node is not ConfigValue { Text: var text })
            return FailType(type, node);
        if (ScalarText.TryParse(type, text, out var value))
            return value;
        var plain = Nullable.GetUnderlyingType(type) ?? type;
        return plain.IsEnum
            ? Fail(node, $"'{text}' is not allowed. {NearestName.Advice(text, ScalarText.EnumNames(plain), "values")}")
            : FailType(type, node);
    }

    private object? ReadList(Type element, ConfigNode node, string? defaultName)
    {
        if (node is not ConfigList { Items: var items })
            return FailType(element.MakeArrayType(), node);
        var array = Array.CreateInstance(element, items.Count);
        for (var i = 0; i < items.Count; i++)
            if (TryRead(element, items[i], null, defaultName, out var value))
                array.SetValue(value, i);
        return array;
    }

    private object? ReadDictionary(Type valueType, ConfigNode node, string? defaultName)
    {
        var type = typeof(Dictionary<,>).MakeGenericType(typeof(string), valueType);
        if (node is not ConfigSection section)
            return FailType(type, node);
        var dictionary = (IDictionary)Activator.CreateInstance(type)!;
        foreach (var (key, child) in section.Children)
            if (TryRead(valueType, child, null, defaultName, out var value))
                dictionary.Add(key, value);
        return dictionary;
    }

    // A record's own default for a nested record may differ from that record's defaults: start from a copy of it.
    private static object NewRecord(Type type, object? start)
    {
        var target = Activator.CreateInstance(start?.GetType() ?? type)!;
        if (start is null)
            return target;
        foreach (var property in OptionsShape.Of(start.GetType()).Properties.Values)
            property.SetValue(target, property.GetValue(start));
        return target;
    }

    private void CheckItself(object options, ConfigSection section)
    {
        if (options is not ICheckedOptions checkedOptions)
            return;
        try
        {
            foreach (var sentence in checkedOptions.Problems())
            {
                var at = PlaceOf(sentence, options, section);
                problems.Add(new ConfigProblem(at.Path, at.Location, sentence));
            }
        }
        catch (Exception failure)
        {
            // A plugin's own check must not take the host down.
            Fail(section, $"the check of {options.GetType().Name} threw {failure.GetType().Name}: {failure.Message} Report this to the plugin's author.");
        }
    }

    // The place that a sentence such as "clip-range is 1.5; ..." speaks of; the section when it begins with no key.
    private static ConfigNode PlaceOf(string sentence, object options, ConfigSection section)
    {
        var parts = sentence.Split(' ', 2)[0].Split('.');
        if (!OptionsShape.Of(options.GetType()).Properties.ContainsKey(parts[0]))
            return section;
        ConfigNode node = section;
        foreach (var part in parts)
            node = node is ConfigSection inner && inner.Children.TryGetValue(part, out var child)
                ? child
                : node with { Path = $"{node.Path}.{part}" };
        return node;
    }

    private object? FailType(Type type, ConfigNode node) =>
        Fail(node, $"expected {OptionsDescriber.TypeText(type)}; found {Found(node)}.");

    private static string Found(ConfigNode node) => node switch
    {
        ConfigValue value => $"'{value.Text}'",
        ConfigList => "a list",
        _ => "a section",
    };

    private object? Fail(ConfigNode node, string message)
    {
        problems.Add(new ConfigProblem(node.Path, node.Location, message));
        return null;
    }
}
