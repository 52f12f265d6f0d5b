using ColossalChat.Contracts.Torch;

namespace ColossalChat.Rlhf;

/// <summary>
/// Numbers of an iteration from those of its steps: means, except that names ending in <c>_max</c> keep the largest.
/// Steps that overflowed are counted and left out of the means.
/// </summary>
internal sealed class StepMetrics
{
    private readonly Dictionary<string, double> _sums = [];
    private int _steps;
    private int _overflows;

    /// <summary>Takes the numbers of one step.</summary>
    /// <param name="report">What the engine found.</param>
    /// <param name="prefix">Of the norm over all parts, the clipping flag and the rate.</param>
    /// <param name="rate">Learning rate.</param>
    /// <param name="applied">False when the step was skipped.</param>
    public void Add(GradientReport report, string prefix, double rate, bool applied)
    {
        if (!applied)
        {
            _overflows++;
            return;
        }

        _steps++;
        foreach (var (name, value) in report.Metrics)
            Add(name, value);
        foreach (var (part, norm) in report.PartNorms)
            Add($"{part}/grad_norm", norm);
        if (report.PartNorms.Count > 1)
            Add($"{prefix}/grad_norm_total", report.GradientNorm);
        Add($"{prefix}/grad_clipped", report.Clipped ? 1 : 0);
        Add($"{prefix}/lr", rate);
    }

    /// <summary>The iteration's numbers.</summary>
    /// <param name="prefix">Of the counts.</param>
    /// <param name="steps">Updates applied since the run began.</param>
    public Dictionary<string, double> Take(string prefix, long steps)
    {
        var result = _sums.ToDictionary(
            sum => sum.Key,
            sum => sum.Key.EndsWith("_max", StringComparison.Ordinal) ? sum.Value : sum.Value / _steps);
        result[$"{prefix}/step"] = steps;
        result[$"{prefix}/overflow_steps"] = _overflows;
        return result;
    }

    private void Add(string name, double value) =>
        _sums[name] = !_sums.TryGetValue(name, out var before) ? value
            : name.EndsWith("_max", StringComparison.Ordinal) ? Math.Max(before, value)
            : before + value;
}
