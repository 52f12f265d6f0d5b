using System.Text.RegularExpressions;

namespace ColossalChat.UnitTests.House;

/// <summary>Measures members by counting braces; data tables (initialisers of fields) are not members.</summary>
internal static partial class MethodLengths
{
    private enum Block
    {
        Type,
        Member,
        Other,
    }

    /// <summary>Line from 1 and length in lines of every member with a body.</summary>
    public static IEnumerable<(int Line, int Length)> Of(string source)
    {
        var bare = SourceText.Bare(source);
        var open = new Stack<(Block Block, int Header)>();
        var header = 0;
        for (var i = 0; i < bare.Length; i++)
        {
            switch (bare[i])
            {
                case '{':
                    open.Push((KindOf(bare[header..i], open.Count == 0 || open.Peek().Block == Block.Type), FirstText(bare, header)));
                    header = i + 1;
                    break;
                case '}':
                    header = i + 1;
                    if (open.TryPop(out var closed) && closed.Block == Block.Member)
                        yield return (LineOf(bare, closed.Header), LineOf(bare, i) - LineOf(bare, closed.Header) + 1);
                    break;
                case ';':
                    header = i + 1;
                    break;
            }
        }
    }

    private static Block KindOf(string header, bool inType)
    {
        if (!inType)
            return Block.Other;
        var plain = Parentheses().Replace(header, "");
        if (TypeWord().IsMatch(plain))
            return Block.Type;
        return Assignment().IsMatch(plain) || EnumWord().IsMatch(plain) ? Block.Other : Block.Member;
    }

    private static int FirstText(string bare, int from)
    {
        while (from < bare.Length && char.IsWhiteSpace(bare[from]))
            from++;
        return from;
    }

    private static int LineOf(string text, int index) => text.AsSpan(0, index).Count('\n') + 1;

    [GeneratedRegex(@"\((?>[^()]+|\((?<d>)|\)(?<-d>))*(?(d)(?!))\)")]
    private static partial Regex Parentheses();

    [GeneratedRegex(@"\b(class|struct|interface|record|namespace)\b")]
    private static partial Regex TypeWord();

    [GeneratedRegex(@"\benum\b")]
    private static partial Regex EnumWord();

    [GeneratedRegex(@"(?<![=<>!])=(?![=>])")]
    private static partial Regex Assignment();
}
