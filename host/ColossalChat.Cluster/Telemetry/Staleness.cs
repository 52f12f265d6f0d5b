using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.InteropServices;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// How old the weights were that wrote what is trained on: the policy's version when the tokens are used minus the version
/// that wrote each of them, in updates. 0 is strictly on-policy.
/// </summary>
/// <param name="Tokens">Number of tokens by staleness.</param>
internal sealed record Staleness(ImmutableSortedDictionary<long, long> Tokens)
{
    // Above this one number stands for all: labels of metrics must stay few.
    private const long Most = 16;

    /// <summary>Of a window that an update is made from.</summary>
    /// <param name="window">What was written.</param>
    /// <param name="version">The policy's version that is updated; versions count from 1, the weights before training.</param>
    public static Staleness Of(IEnumerable<ScoredRollout> window, long version)
    {
        var tokens = new Dictionary<long, long>();
        foreach (var part in window)
            foreach (var written in part.Rollout.WeightVersions.Values.Span)
                CollectionsMarshal.GetValueRefOrAddDefault(tokens, version - written, out _)++;
        return new Staleness(tokens.ToImmutableSortedDictionary());
    }

    /// <summary>Counts the tokens, once for each window; gives <c>rollout/staleness_mean</c>, <c>rollout/staleness_max</c> and <c>rollout/staleness_share/N</c>.</summary>
    public IReadOnlyDictionary<string, double> Counted()
    {
        var metrics = ImmutableSortedDictionary<string, double>.Empty;
        if (Tokens.IsEmpty)
            return metrics;
        foreach (var (updates, tokens) in Tokens)
            RunTelemetry.TokensByStaleness.Add(tokens, new KeyValuePair<string, object?>("staleness", NameOf(updates)));
        var all = (double)Tokens.Values.Sum();
        return metrics
            .SetItem("rollout/staleness_mean", Tokens.Sum(entry => entry.Key * (double)entry.Value) / all)
            .SetItem("rollout/staleness_max", Tokens.Keys.Max())
            .SetItems(Tokens.GroupBy(entry => NameOf(entry.Key))
                .Select(group => KeyValuePair.Create($"rollout/staleness_share/{group.Key}", group.Sum(entry => entry.Value) / all)));
    }

    private static string NameOf(long updates) => Math.Min(updates, Most).ToString(CultureInfo.InvariantCulture) + (updates >= Most ? "+" : "");
}
