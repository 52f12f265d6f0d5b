using System.Collections.Immutable;

namespace ColossalChat.Cluster;

/// <summary>How often each role may fail within a span of time before its run does.</summary>
internal sealed record RestartBudget(int Allowed, TimeSpan Within, ImmutableDictionary<string, ImmutableList<DateTimeOffset>> Failures)
{
    public static RestartBudget Of(int allowed) =>
        new(allowed, TimeSpan.FromMinutes(10), ImmutableDictionary<string, ImmutableList<DateTimeOffset>>.Empty);

    /// <summary>With one more failure of a role.</summary>
    public RestartBudget Spend(string role, DateTimeOffset now)
    {
        var recent = Failures.GetValueOrDefault(role, []).RemoveAll(time => now - time > Within).Add(now);
        return this with { Failures = Failures.SetItem(role, recent) };
    }

    public int CountOf(string role) => Failures.GetValueOrDefault(role, []).Count;

    public bool IsSpent(string role) => CountOf(role) > Allowed;
}
