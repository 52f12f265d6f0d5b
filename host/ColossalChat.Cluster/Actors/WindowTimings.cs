using System.Collections.Immutable;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Seconds that the roles of one window took, summed over its batches.</summary>
internal sealed class WindowTimings
{
    private readonly Dictionary<string, double> _seconds;

    public WindowTimings()
        : this([])
    {
    }

    private WindowTimings(Dictionary<string, double> seconds) => _seconds = seconds;

    public static string NameOf(ScoreKind kind) => kind switch
    {
        ScoreKind.ReferenceLogProbs => "ref",
        ScoreKind.Values => "value",
        _ => "reward",
    };

    public void Add(string name, TimeSpan took)
    {
        var metric = $"timing/{name}_s";
        _seconds[metric] = _seconds.GetValueOrDefault(metric) + took.TotalSeconds;
    }

    /// <summary>Further numbers of the window, by metric.</summary>
    public void Add(IReadOnlyDictionary<string, double> metrics)
    {
        foreach (var (metric, value) in metrics)
            _seconds[metric] = value;
    }

    /// <summary>These and one more; the same window may be told twice, so these stay as they are.</summary>
    public WindowTimings With(string name, TimeSpan took)
    {
        var more = new WindowTimings(new Dictionary<string, double>(_seconds));
        more.Add(name, took);
        return more;
    }

    public IReadOnlyDictionary<string, double> MergedInto(IReadOnlyDictionary<string, double> metrics) =>
        metrics.ToImmutableSortedDictionary().SetItems(_seconds);
}
