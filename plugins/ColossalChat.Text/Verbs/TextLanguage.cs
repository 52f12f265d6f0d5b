namespace ColossalChat.Text;

/// <summary>Tells the writing of a text by its letters; enough to see a corpus's mix, not a language detector.</summary>
internal static class TextLanguage
{
    // A Chinese text about code or names holds many Latin letters; a character says about as much as three of them.
    private const double HanWeight = 3;

    /// <summary><c>zh</c>, <c>ja</c>, <c>ko</c>, <c>latin</c>, <c>other</c>, or <c>none</c> for a text without letters.</summary>
    public static string Of(string text)
    {
        var (han, kana, hangul, latin, other) = (0d, 0d, 0d, 0d, 0d);
        foreach (var letter in text)
        {
            if (letter is (>= '\u4E00' and <= '\u9FFF') or (>= '\u3400' and <= '\u4DBF'))
                han += HanWeight;
            else if (letter is >= '\u3040' and <= '\u30FF')
                kana += HanWeight;
            else if (letter is >= '\uAC00' and <= '\uD7AF')
                hangul += HanWeight;
            else if (char.IsLetter(letter))
                _ = letter < '\u0250' ? latin++ : other++;
        }

        var most = Math.Max(Math.Max(han + kana, hangul), Math.Max(latin, other));
        if (most == 0)
            return "none";
        if (most == han + kana)
            return kana > han / 10 ? "ja" : "zh";
        if (most == hangul)
            return "ko";
        return most == latin ? "latin" : "other";
    }
}
