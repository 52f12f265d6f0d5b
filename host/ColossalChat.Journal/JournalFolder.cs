using System.Globalization;

namespace ColossalChat.Journal;

/// <summary>Names of the files in a run's <c>journal/</c>.</summary>
public static class JournalFolder
{
    private const string Prefix = "segment-";
    private const string Suffix = ".log";

    /// <summary>The journal's folder in a run folder; it need not be there.</summary>
    public static string Of(string runFolder) => Path.Combine(runFolder, "journal");

    /// <summary>True when a run has at least one segment.</summary>
    /// <param name="folder">The journal's folder.</param>
    public static bool HasAny(string folder) => Segments(folder).Count > 0;

    /// <summary>The highest epoch that has written; 0 when none has.</summary>
    /// <param name="folder">The journal's folder.</param>
    public static long HighestEpoch(string folder) => Segments(folder).Select(segment => segment.Epoch).DefaultIfEmpty(0).Max();

    internal static string NameOf(SegmentId segment) =>
        string.Create(CultureInfo.InvariantCulture, $"{Prefix}{segment.Epoch:D6}-{segment.Number:D6}{Suffix}");

    internal static string PathOf(string folder, SegmentId segment) => Path.Combine(folder, NameOf(segment));

    internal static string IndexOf(string folder) => Path.Combine(folder, "index.db");

    /// <summary>In the order they were begun; other files are none of our business.</summary>
    internal static IReadOnlyList<SegmentId> Segments(string folder) => !Directory.Exists(folder)
        ? []
        : [.. Directory.EnumerateFiles(folder, Prefix + "*" + Suffix).Select(Parse).OfType<SegmentId>().OrderBy(segment => segment.Epoch).ThenBy(segment => segment.Number)];

    private static SegmentId? Parse(string path)
    {
        var parts = Path.GetFileName(path)[Prefix.Length..^Suffix.Length].Split('-');
        return parts.Length == 2
            && long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var epoch)
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? new SegmentId(epoch, number)
            : null;
    }
}
