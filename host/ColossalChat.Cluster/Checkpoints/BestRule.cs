using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Which way a metric is better.</summary>
public enum BestIs
{
    /// <summary>A loss.</summary>
    Lower,

    /// <summary>A reward.</summary>
    Higher,
}

/// <summary>What makes a checkpoint the best of its run.</summary>
/// <param name="Metric">Name, such as <c>eval/loss</c>.</param>
/// <param name="BestIs">Which way it is better.</param>
public sealed record BestRule(string Metric, BestIs BestIs)
{
    /// <summary>The best of some; of equals the newest. Those without a value of this metric do not count.</summary>
    public CheckpointSummary? BestOf(IEnumerable<CheckpointSummary> checkpoints)
    {
        var scored = checkpoints.Where(checkpoint => checkpoint.Score?.Rule == this).OrderByDescending(checkpoint => checkpoint.Iteration);
        return BestIs == BestIs.Lower
            ? scored.MinBy(checkpoint => checkpoint.Score!.Value)
            : scored.MaxBy(checkpoint => checkpoint.Score!.Value);
    }
}

/// <summary>A checkpoint's value of the metric that tells the best.</summary>
/// <param name="Rule">The metric.</param>
/// <param name="Value">A finite number.</param>
public sealed record CheckpointScore(BestRule Rule, double Value);

/// <summary>A checkpoint as its manifest tells it; its content was not read.</summary>
/// <param name="Folder">Where it is.</param>
/// <param name="Iteration">Last finished iteration in it.</param>
/// <param name="Score">Its value of the metric that tells the best; null when it has none.</param>
/// <param name="IsBest">True for the best of its run by the metric that the newest one names.</param>
public sealed record CheckpointSummary(string Folder, long Iteration, CheckpointScore? Score, bool IsBest = false);

/// <summary>Finds the score of an iteration in what is reported of it.</summary>
/// <param name="rule">What to look for.</param>
internal sealed class ScoreWatch(BestRule rule)
{
    private readonly SortedSet<string> _names = new(StringComparer.Ordinal);
    private (long Iteration, BatchPurpose Purpose, double Value)? _last;
    private bool _hasSaidSo;

    /// <summary>Takes a report; a measurement counts more than training.</summary>
    public void Take(IterationReport report)
    {
        _names.UnionWith(report.Metrics.Keys);
        if (!report.Metrics.TryGetValue(rule.Metric, out var value))
            return;
        if (_last is not { } last || last.Iteration != report.Iteration || report.Purpose == BatchPurpose.Evaluate)
            _last = (report.Iteration, report.Purpose, value);
    }

    /// <summary>The score of an iteration; null when it has none, or one that is no number.</summary>
    public CheckpointScore? Of(long iteration) =>
        _last is { } last && last.Iteration == iteration && double.IsFinite(last.Value) ? new CheckpointScore(rule, last.Value) : null;

    /// <summary>What to tell the user when a state is kept and nothing had the metric so far; once, else null.</summary>
    public string? Remark(long iteration)
    {
        if (_hasSaidSo || _names.Contains(rule.Metric) || _names.Count == 0)
            return null;
        _hasSaidSo = true;
        return $"Nothing up to iteration {iteration} has the metric '{rule.Metric}' of run.keep-best, so no checkpoint is the best yet. "
            + $"There are {string.Join(", ", _names)}.";
    }
}
