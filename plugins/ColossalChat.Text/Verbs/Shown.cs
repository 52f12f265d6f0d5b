namespace ColossalChat.Text;

/// <summary>Text made fit for one line of a terminal.</summary>
internal static class Shown
{
    /// <summary>Line ends and tabs spelled out, other control characters as dots.</summary>
    public static string OneLine(string text) => string.Concat(text.Select(symbol => symbol switch
    {
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        _ => char.IsControl(symbol) ? "·" : symbol.ToString(),
    }));

    /// <summary>The same, cut to a width.</summary>
    public static string Short(string text, int width)
    {
        var line = OneLine(text.Length > width ? text[..width] : text);
        return text.Length > width ? line + "..." : line;
    }
}
