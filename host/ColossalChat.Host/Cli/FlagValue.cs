using System.Globalization;
using ColossalChat.Contracts;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Cli;

/// <summary>Values of flags, as a shell hands them over.</summary>
internal static class FlagValue
{
    /// <summary>Element type of a list property; null for a single value.</summary>
    public static Type? ElementOf(Type type)
    {
        if (type.IsArray)
            return type.GetElementType();
        return type.IsGenericType && type.GetGenericTypeDefinition() is var open
            && (open == typeof(IReadOnlyList<>) || open == typeof(IReadOnlyCollection<>) || open == typeof(IEnumerable<>))
            ? type.GetGenericArguments()[0]
            : null;
    }

    /// <summary>Reads one value.</summary>
    /// <exception cref="UserErrorException">The text does not fit the type.</exception>
    public static object Parse(Type type, string text, string flag)
    {
        var plain = Nullable.GetUnderlyingType(type) ?? type;
        return TryParse(plain, text)
            ?? throw new UserErrorException($"{flag}: '{text}' is not allowed; give {Describe(plain)}.", ExitCode.Usage);
    }

    /// <summary>Reads a list: each value given, and for numbers also values with commas between them.</summary>
    public static Array ParseList(Type element, IReadOnlyList<string> texts, string flag)
    {
        var items = element == typeof(string) ? texts : texts.SelectMany(text => text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)).ToArray();
        var array = Array.CreateInstance(element, items.Count);
        for (var i = 0; i < items.Count; i++)
            array.SetValue(Parse(element, items[i], flag), i);
        return array;
    }

    /// <summary>What may be given.</summary>
    public static string Describe(Type type)
    {
        var plain = Nullable.GetUnderlyingType(type) ?? type;
        return plain switch
        {
            { IsEnum: true } => string.Join(", ", Enum.GetNames(plain).Select(KebabCase.Of)),
            _ when plain == typeof(string) => "a text",
            _ when plain == typeof(double) || plain == typeof(float) => "a number",
            _ when plain == typeof(TimeSpan) => "seconds, such as 30",
            _ when plain == typeof(bool) => "true or false",
            _ when plain == typeof(ulong) || plain == typeof(uint) || plain == typeof(ushort) || plain == typeof(byte) => "a whole number from 0",
            _ => "a whole number",
        };
    }

    private static object? TryParse(Type type, string text)
    {
        var culture = CultureInfo.InvariantCulture;
        if (type.IsEnum)
            return Enum.GetValues(type).Cast<object>().FirstOrDefault(value => string.Equals(KebabCase.Of(value.ToString()!), text, StringComparison.OrdinalIgnoreCase));
        if (type == typeof(string))
            return text;
        if (type == typeof(TimeSpan))
            return double.TryParse(text.TrimEnd('s'), culture, out var seconds) ? TimeSpan.FromSeconds(seconds) : null;
        try
        {
            return Convert.ChangeType(text, type, culture);
        }
        catch (Exception error) when (error is FormatException or OverflowException or InvalidCastException)
        {
            return null; // The caller says what is allowed.
        }
    }
}
