using ColossalChat.Contracts;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Cli;

/// <summary>Values of flags, as a shell hands them over. They are written as in a configuration.</summary>
internal static class FlagValue
{
    /// <summary>Reads one value.</summary>
    /// <exception cref="UserErrorException">The text does not fit the type.</exception>
    public static object Parse(Type type, string text, string flag)
    {
        // A flag that may be absent is left out to say so; there is no word for it.
        var plain = Nullable.GetUnderlyingType(type) ?? type;
        return ScalarText.TryParse(plain, text, out var value)
            ? value!
            : throw new UserErrorException($"{flag}: '{text}' is not allowed; give {ScalarText.Describe(plain)}.", ExitCode.Usage);
    }

    /// <summary>Reads a list: each value given, and for numbers also values with commas between them.</summary>
    /// <exception cref="UserErrorException">A text does not fit the type.</exception>
    public static Array ParseList(Type element, IReadOnlyList<string> texts, string flag)
    {
        var items = element == typeof(string) ? texts : texts.SelectMany(text => text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)).ToArray();
        var array = Array.CreateInstance(element, items.Count);
        for (var i = 0; i < items.Count; i++)
            array.SetValue(Parse(element, items[i], flag), i);
        return array;
    }
}
