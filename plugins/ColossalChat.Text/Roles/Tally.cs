using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>Counts rows left out or cut, by reason, and remembers the first of each.</summary>
internal sealed class Tally
{
    private readonly Dictionary<string, (string Why, int Count, string First)> _reasons = new(StringComparer.Ordinal);

    /// <summary>Counts one row.</summary>
    /// <param name="reason">End of the metric's name.</param>
    /// <param name="why">For people: what these rows have in common.</param>
    /// <param name="row">The row.</param>
    public void Add(string reason, string why, DataRow row) => Add(reason, why, $"{row.File} row {row.Row}", 1);

    /// <summary>Counts malformed rows.</summary>
    public void Add(IReadOnlyList<DataProblem> problems)
    {
        if (problems.Count > 0)
            Add("malformed", "malformed", $"{problems[0].File} row {problems[0].Row}: {problems[0].Message}", problems.Count);
    }

    /// <summary>Rows counted under a reason.</summary>
    public int CountOf(string reason) => _reasons.TryGetValue(reason, out var entry) ? entry.Count : 0;

    /// <summary>One sentence a reason, in the order they came up.</summary>
    public IEnumerable<string> Sentences() =>
        _reasons.Values.Select(entry => $"Left out {entry.Count} {(entry.Count == 1 ? "row" : "rows")}, {entry.Why} (first: {entry.First}).");

    private void Add(string reason, string why, string first, int count) =>
        _reasons[reason] = _reasons.TryGetValue(reason, out var entry) ? entry with { Count = entry.Count + count } : (why, count, first);
}
