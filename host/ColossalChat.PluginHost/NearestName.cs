namespace ColossalChat.PluginHost;

/// <summary>Finds what a user probably meant.</summary>
public static class NearestName
{
    /// <summary>The known name with the smallest edit distance, or null when none is close enough to be a slip.</summary>
    public static string? Of(string written, IEnumerable<string> known)
    {
        var best = known
            .Select(name => (Name: name, Distance: EditDistance(written, name)))
            .OrderBy(candidate => candidate.Distance)
            .ThenBy(candidate => candidate.Name, StringComparer.Ordinal)
            .FirstOrDefault();
        return best.Name is not null && best.Distance <= Math.Max(2, best.Name.Length / 3) ? best.Name : null;
    }

    /// <summary>A sentence for an error message: the nearest name, if any, and all names.</summary>
    /// <param name="written">What the user wrote.</param>
    /// <param name="known">All that is allowed.</param>
    /// <param name="what">Plural of what is listed, such as <c>keys</c>.</param>
    public static string Advice(string written, IReadOnlyCollection<string> known, string what)
    {
        var nearest = Of(written, known) is { } name ? $"Did you mean '{name}'? " : "";
        var list = known.Count == 0 ? $"there are no {what}" : $"{what}: {string.Join(", ", known.Order(StringComparer.Ordinal))}";
        return $"{nearest}{char.ToUpperInvariant(list[0])}{list[1..]}.";
    }

    // Damerau's optimal string alignment: insertions, deletions, replacements and swapped neighbours cost 1 each.
    private static int EditDistance(string a, string b)
    {
        var distance = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
            distance[i, 0] = i;
        for (var j = 0; j <= b.Length; j++)
            distance[0, j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            for (var j = 1; j <= b.Length; j++)
            {
                var replaced = distance[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                distance[i, j] = Math.Min(replaced, Math.Min(distance[i - 1, j], distance[i, j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                    distance[i, j] = Math.Min(distance[i, j], distance[i - 2, j - 2] + 1);
            }
        }

        return distance[a.Length, b.Length];
    }
}
