using System.Collections.Immutable;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Seconds that the roles of one window took, summed over its batches.</summary>
internal sealed class WindowTimings
{
    private readonly Dictionary<string, double> _seconds = [];

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

    public WindowTimings With(string name, TimeSpan took)
    {
        Add(name, took);
        return this;
    }

    public IReadOnlyDictionary<string, double> MergedInto(IReadOnlyDictionary<string, double> metrics) =>
        metrics.ToImmutableSortedDictionary().SetItems(_seconds);
}
