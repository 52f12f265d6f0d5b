namespace ColossalChat.Models.Generation;

/// <summary>Finds stop strings in growing text; gives text out only when no stop string can still begin in it.</summary>
internal sealed class StopMatcher(IReadOnlyList<string> stops)
{
    private string _held = "";

    /// <summary>Adds text.</summary>
    /// <param name="piece">New text.</param>
    /// <param name="isMatch">True when a stop string is complete: what came before it is returned, the rest dropped.</param>
    /// <returns>Text that is certain to be before any stop string.</returns>
    public string Add(string piece, out bool isMatch)
    {
        isMatch = false;
        if (stops.Count == 0)
            return piece;
        _held += piece;
        var first = stops.Select(stop => _held.IndexOf(stop, StringComparison.Ordinal)).Where(at => at >= 0).DefaultIfEmpty(-1).Min();
        isMatch = first >= 0;
        var certain = isMatch ? first : _held.Length - LongestBeginning();
        var text = _held[..certain];
        _held = isMatch ? "" : _held[certain..];
        return text;
    }

    /// <summary>What was held back, at the end.</summary>
    public string Finish()
    {
        var text = _held;
        _held = "";
        return text;
    }

    private int LongestBeginning()
    {
        var longest = Math.Min(_held.Length, stops.Max(stop => stop.Length) - 1);
        for (var length = longest; length > 0; length--)
            if (stops.Any(stop => stop.Length > length && stop.AsSpan().StartsWith(_held.AsSpan(_held.Length - length), StringComparison.Ordinal)))
                return length;
        return 0;
    }
}
