using ColossalChat.Contracts;

namespace ColossalChat.Zero;

/// <summary>Options of every collective.</summary>
public sealed record CollectiveOptions : ICheckedOptions
{
    private static readonly TimeSpan s_shortest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_longest = TimeSpan.FromHours(1);

    /// <summary>
    /// Longest wait for the other ranks, at meeting and in each operation: longer than a step may differ between ranks, and
    /// than a checkpoint takes. From 1 s to 1 h; default 10 m.
    /// </summary>
    public TimeSpan Deadline { get; init; } = TimeSpan.FromMinutes(10);

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Deadline < s_shortest || Deadline > s_longest)
            yield return $"deadline is {Deadline.TotalSeconds} s; it must be from 1s to 1h.";
    }
}
