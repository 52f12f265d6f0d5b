using System.Collections;
using System.Reflection;
using System.Runtime.CompilerServices;
using ColossalChat.Contracts;

namespace ColossalChat.PluginHost;

/// <summary>Lists the keys of options records with type, default and documentation.</summary>
internal static class OptionsDescriber
{
    private const int MaxDepth = 8;

    public static IReadOnlyList<OptionDescription> Describe(Type optionsType)
    {
        var rows = new List<OptionDescription>();
        Describe(optionsType, NewOrNull(optionsType), "", rows, new Dictionary<Assembly, DocComments>(), 0);
        return rows;
    }

    /// <summary>What may be written for a property type.</summary>
    public static string TypeText(Type type)
    {
        if (ScalarText.IsScalar(type))
            return ScalarText.Describe(type);
        if (OptionsShape.SeamOf(type) is { } seam)
            return $"a {KebabCase.OfSeam(seam)}: its name, or a section with '{OptionsBinder.UseKey}'";
        if (OptionsShape.ElementOf(type) is { } element)
            return $"a list in brackets, each item {TypeText(element)}";
        if (OptionsShape.DictionaryValueOf(type) is { } value)
            return $"a section of names of your own, each {TypeText(value)}";
        return "a section";
    }

    private static void Describe(
        Type type, object? defaults, string prefix, List<OptionDescription> rows, Dictionary<Assembly, DocComments> comments, int depth)
    {
        var shape = OptionsShape.Of(type);
        foreach (var (key, property) in shape.Properties)
            Describe(property, prefix + key, defaults, rows, comments, depth);
        if (shape.Remaining is { } remaining && OptionsShape.DictionaryValueOf(remaining.PropertyType) is { } value)
        {
            rows.Add(new OptionDescription(prefix + "NAME", TypeText(value), "none", SummaryOf(remaining, comments)));
            if (IsNested(value, depth))
                Describe(value, NewOrNull(value), prefix + "NAME.", rows, comments, depth + 1);
        }
    }

    private static void Describe(
        PropertyInfo property, string key, object? defaults, List<OptionDescription> rows, Dictionary<Assembly, DocComments> comments, int depth)
    {
        var current = defaults is null ? null : property.GetValue(defaults);
        rows.Add(new OptionDescription(key, TypeText(property.PropertyType), DefaultText(property, current), SummaryOf(property, comments)));
        if (IsNested(property.PropertyType, depth))
            Describe(property.PropertyType, current ?? NewOrNull(property.PropertyType), key + ".", rows, comments, depth + 1);
    }

    private static bool IsNested(Type type, int depth) =>
        depth < MaxDepth && !ScalarText.IsScalar(type) && OptionsShape.SeamOf(type) is null && OptionsShape.ElementOf(type) is null
        && OptionsShape.DictionaryValueOf(type) is null && OptionsShape.IsRecord(type);

    private static string DefaultText(PropertyInfo property, object? value)
    {
        if (property.GetCustomAttribute<RequiredMemberAttribute>() is not null)
            return "must be given";
        if (value is null)
            return property.GetCustomAttribute<DefaultPluginAttribute>()?.Name ?? "none";
        if (OptionsShape.SeamOf(property.PropertyType) is not null)
            return (string)value.GetType().GetProperty(nameof(PluginChoice<object>.Name))!.GetValue(value)!;
        if (ScalarText.IsScalar(property.PropertyType))
            return ScalarText.Format(value);
        return value is IEnumerable items and not IDictionary ? $"[{string.Join(", ", items.Cast<object?>().Select(ScalarText.Format))}]" : "see below";
    }

    private static string SummaryOf(PropertyInfo property, Dictionary<Assembly, DocComments> comments)
    {
        var declaring = property.DeclaringType!;
        if (!comments.TryGetValue(declaring.Assembly, out var file))
            comments[declaring.Assembly] = file = DocComments.Beside(declaring.Assembly);
        return file.SummaryOf(property);
    }

    private static object? NewOrNull(Type type) => type.GetConstructor(Type.EmptyTypes) is null ? null : Activator.CreateInstance(type);
}
