namespace ColossalChat.Quickstart.Data;

/// <summary>Small mistakes, such as a model makes when it copies.</summary>
internal static class Corrupt
{
    /// <summary><paramref name="text"/> with one character replaced, dropped or doubled, or with the tail of <paramref name="other"/>; never equal to it.</summary>
    public static string Text(string text, string other, Keyed random)
    {
        var at = 1 + random.Below(Math.Max(1, text.Length - 1));
        var changed = random.Below(4) switch
        {
            0 when text.Length > 2 => text.Remove(Math.Min(at, text.Length - 1), 1),
            1 => text.Insert(at, text[at - 1].ToString()),
            2 => text[..at] + other[^1] + (at + 1 < text.Length ? text[(at + 1)..] : ""),
            _ => text[..at] + other[Math.Min(at, other.Length - 1)..],
        };
        return changed != text ? changed : text + text[^1];
    }
}
