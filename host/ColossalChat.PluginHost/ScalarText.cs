using System.Globalization;

namespace ColossalChat.PluginHost;

/// <summary>Single values as users write them, in configurations and in flags alike.</summary>
public static class ScalarText
{
    private static readonly (string Unit, double Milliseconds)[] s_units =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

    /// <summary>True for types that one value can fill.</summary>
    public static bool IsScalar(Type type)
    {
        var plain = Nullable.GetUnderlyingType(type) ?? type;
        return plain.IsEnum || plain == typeof(string) || plain == typeof(bool) || plain == typeof(int) || plain == typeof(long)
            || plain == typeof(ulong) || plain == typeof(double) || plain == typeof(float) || plain == typeof(TimeSpan);
    }

    /// <summary>What may be written for a scalar type, for error messages and help.</summary>
    public static string Describe(Type type)
    {
        var plain = Nullable.GetUnderlyingType(type) ?? type;
        var text = plain switch
        {
            { IsEnum: true } => $"one of {string.Join(", ", EnumNames(plain))}",
            _ when plain == typeof(bool) => "true or false",
            _ when plain == typeof(int) || plain == typeof(long) => "a whole number",
            _ when plain == typeof(ulong) => "a whole number from 0",
            _ when plain == typeof(double) || plain == typeof(float) => "a number",
            _ when plain == typeof(TimeSpan) => "a duration such as 250ms, 30s, 5m or 1h",
            _ => "text",
        };
        return plain == type ? text : text + ", or none";
    }

    /// <summary>Kebab-case names of an enum.</summary>
    public static string[] EnumNames(Type type) => [.. Enum.GetNames(type).Select(KebabCase.Of)];

    /// <summary>Reads a value; false when the text does not fit the type.</summary>
    public static bool TryParse(Type type, string text, out object? value)
    {
        value = null;
        if (Nullable.GetUnderlyingType(type) is { } inner)
            return IsNone(text) || TryParse(inner, text, out value);
        var culture = CultureInfo.InvariantCulture;
        value = type switch
        {
            { IsEnum: true } => ParseEnum(type, text),
            _ when type == typeof(string) => text,
            _ when type == typeof(bool) => ParseBool(text),
            _ when type == typeof(int) => int.TryParse(text, NumberStyles.AllowLeadingSign, culture, out var number) ? number : null,
            _ when type == typeof(long) => long.TryParse(text, NumberStyles.AllowLeadingSign, culture, out var number) ? number : null,
            _ when type == typeof(ulong) => ulong.TryParse(text, NumberStyles.None, culture, out var number) ? number : null,
            _ when type == typeof(double) => double.TryParse(text, NumberStyles.Float, culture, out var number) ? number : null,
            _ when type == typeof(float) => float.TryParse(text, NumberStyles.Float, culture, out var number) ? number : null,
            _ when type == typeof(TimeSpan) => ParseDuration(text),
            _ => null,
        };
        return value is not null;
    }

    /// <summary>A value as a user would write it.</summary>
    public static string Format(object? value) => value switch
    {
        null => "none",
        bool flag => flag ? "true" : "false",
        TimeSpan duration => FormatDuration(duration),
        Enum name => KebabCase.Of(name.ToString()),
        string text => text.Length == 0 ? "\"\"" : text,
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };

    /// <summary>True for the words that stand for no value.</summary>
    public static bool IsNone(string text) => text is "none" or "null";

    private static object? ParseEnum(Type type, string text)
    {
        var index = Array.IndexOf(EnumNames(type), text);
        return index < 0 ? null : Enum.GetValues(type).GetValue(index);
    }

    private static bool? ParseBool(string text) => text switch
    {
        "true" or "yes" or "on" => true,
        "false" or "no" or "off" => false,
        _ => null,
    };

    private static TimeSpan? ParseDuration(string text)
    {
        if (text == "0")
            return TimeSpan.Zero;
        foreach (var (unit, milliseconds) in s_units)
        {
            // "ms" comes first: "250ms" must not be read as 250m seconds.
            if (!text.EndsWith(unit, StringComparison.Ordinal))
                continue;
            var isNumber = double.TryParse(text[..^unit.Length].TrimEnd(), NumberStyles.Float, CultureInfo.InvariantCulture, out var number);
            var isInRange = isNumber && Math.Abs(number * milliseconds) < TimeSpan.MaxValue.TotalMilliseconds;
            return isInRange ? TimeSpan.FromMilliseconds(number * milliseconds) : null;
        }

        return null;
    }

    private static string FormatDuration(TimeSpan duration)
    {
        var milliseconds = duration.TotalMilliseconds;
        var (unit, size) = s_units.Last(candidate => milliseconds == 0 || candidate.Milliseconds == 1 || milliseconds % candidate.Milliseconds == 0);
        return milliseconds == 0 ? "0" : (milliseconds / size).ToString(CultureInfo.InvariantCulture) + unit;
    }
}
