using System.Text.RegularExpressions;

namespace ColossalChat.Host.Config;

/// <summary>Key paths as text.</summary>
internal static partial class HoconPath
{
    /// <summary>Joins parts with dots; a part that is no plain word gets quotes.</summary>
    public static string Join(IEnumerable<string> parts) => string.Join('.', parts.Select(Part));

    /// <summary>One part, quoted when it must be.</summary>
    public static string Part(string part) => PlainWord().IsMatch(part) && part != "include" ? part : Quote(part);

    /// <summary>A text in quotes.</summary>
    public static string Quote(string text)
    {
        var quoted = new System.Text.StringBuilder("\"");
        foreach (var letter in text)
            quoted.Append(letter switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                < ' ' => $"\\u{(int)letter:x4}",
                _ => letter.ToString(),
            });
        return quoted.Append('"').ToString();
    }

    /// <summary>Parts of a path that <see cref="Join"/> made.</summary>
    public static IReadOnlyList<string> Split(string path) => path.Length == 0 ? [] : HoconScanner.ScanKey(path) ?? [path];

    [GeneratedRegex(@"^[A-Za-z0-9_][A-Za-z0-9_-]*\z")]
    private static partial Regex PlainWord();
}
