using System.Text;

namespace ColossalChat.UnitTests.House;

/// <summary>A C# file with comments and the content of strings blanked out; line breaks stay.</summary>
internal static class SourceText
{
    public static string Bare(string source)
    {
        var bare = new StringBuilder(source.Length);
        var i = 0;
        while (i < source.Length)
        {
            var end = EndOfBlank(source, i);
            if (end == i)
            {
                bare.Append(source[i++]);
                continue;
            }

            for (end = Math.Min(end, source.Length); i < end; i++)
                bare.Append(source[i] == '\n' ? '\n' : ' ');
        }

        return bare.ToString();
    }

    // End of the comment or literal that begins at i; i itself when none does.
    private static int EndOfBlank(string s, int i)
    {
        if (At(s, i, "//"))
            return IndexOrEnd(s, "\n", i);
        if (At(s, i, "/*"))
            return IndexOrEnd(s, "*/", i + 2) + 2;
        if (s[i] == '\'')
            return EndOfQuoted(s, i + 1, '\'');
        if (s[i] != '"')
            return i;

        if (i > 0 && (s[i - 1] == '@' || (i > 1 && s[i - 1] == '$' && s[i - 2] == '@')))
            return EndOfVerbatim(s, i + 1);
        var quotes = 0;
        while (i + quotes < s.Length && s[i + quotes] == '"')
            quotes++;
        if (quotes >= 3)
            return IndexOrEnd(s, new string('"', quotes), i + quotes) + quotes;
        return EndOfQuoted(s, i + 1, '"', i > 0 && s[i - 1] == '$');
    }

    private static int EndOfQuoted(string s, int i, char quote, bool hasHoles = false)
    {
        // A hole of an interpolated string may hold strings of its own.
        for (var depth = 0; i < s.Length && s[i] != '\n'; i++)
        {
            if (s[i] == '\\' || (hasHoles && depth == 0 && (At(s, i, "{{") || At(s, i, "}}"))))
                i++;
            else if (hasHoles && s[i] is ('{' or '}'))
                depth += s[i] == '{' ? 1 : -1;
            else if (s[i] == '"' && depth > 0)
                i = EndOfQuoted(s, i + 1, '"', s[i - 1] == '$') - 1;
            else if (s[i] == quote)
                return i + 1;
        }

        return Math.Min(i, s.Length);
    }

    private static int EndOfVerbatim(string s, int i)
    {
        while (i < s.Length && (s[i] != '"' || At(s, i, "\"\"")))
            i += s[i] == '"' ? 2 : 1;
        return Math.Min(i + 1, s.Length);
    }

    private static bool At(string s, int i, string what) => string.CompareOrdinal(s, i, what, 0, what.Length) == 0;

    private static int IndexOrEnd(string s, string what, int from)
    {
        var index = s.IndexOf(what, Math.Min(from, s.Length), StringComparison.Ordinal);
        return index < 0 ? s.Length : index;
    }
}
