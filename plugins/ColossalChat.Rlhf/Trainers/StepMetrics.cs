using ColossalChat.Contracts.Torch;

namespace ColossalChat.Rlhf;

/// <summary>What a trainer calls its numbers.</summary>
/// <param name="Part">Its main objective: prefix of its own losses and metrics.</param>
internal sealed record StepNames(string Part)
{
    /// <summary>After <c>train/lr</c>, <c>train/grad_norm</c> and <c>train/grad_clipped</c>, where a stage has several trainers.</summary>
    public string Suffix { get; init; } = "";

    /// <summary>Updates applied since the run began.</summary>
    public string Steps { get; init; } = "train/step";

    /// <summary>Achieved TFLOP/s.</summary>
    public string Speed { get; init; } = "perf/tflops";

    /// <summary>Supervised fine-tuning and reward model: one trainer, one objective.</summary>
    public static StepNames Offline { get; } = new("train");

    /// <summary>The policy; its updates are the run's.</summary>
    public static StepNames Actor { get; } = new("policy") { Suffix = "_actor" };

    /// <summary>The critic.</summary>
    public static StepNames Critic { get; } = new("value") { Suffix = "_critic", Steps = "value/step", Speed = "perf/tflops_critic" };
}

/// <summary>
/// Numbers of an iteration from those of its steps: means, except that names ending in <c>_max</c> keep the largest.
/// Steps that overflowed are counted and left out of the means. Numbers of an extra loss stand beside those of the main
/// objective: <c>ptx/loss</c> of a policy is <c>policy/ptx_loss</c>.
/// </summary>
/// <param name="names">What they are called.</param>
internal sealed class StepMetrics(StepNames names)
{
    private readonly Dictionary<string, double> _sums = [];
    private int _steps;
    private int _overflows;

    /// <summary>Takes the numbers of one step.</summary>
    /// <param name="report">What the engine found.</param>
    /// <param name="rate">Learning rate.</param>
    /// <param name="applied">False when the step was skipped.</param>
    public void Add(GradientReport report, double rate, bool applied)
    {
        if (!applied)
        {
            _overflows++;
            return;
        }

        _steps++;
        var own = report.Metrics
            .Concat(report.PartNorms.Select(norm => KeyValuePair.Create($"{norm.Key}/grad_norm", norm.Value)))
            .Select(metric => KeyValuePair.Create(NameOf(metric.Key), metric.Value))
            .Append(KeyValuePair.Create($"train/grad_norm{names.Suffix}", report.GradientNorm))
            .Append(KeyValuePair.Create($"train/grad_clipped{names.Suffix}", report.Clipped ? 1.0 : 0))
            .Append(KeyValuePair.Create($"train/lr{names.Suffix}", rate));

        // With one trainer and one objective the norm of the part and the norm over all parts are one number of one name.
        foreach (var (name, value) in own.DistinctBy(metric => metric.Key))
            Add(name, value);
    }

    /// <summary>The iteration's numbers.</summary>
    /// <param name="steps">Updates applied since the run began.</param>
    /// <param name="teraflops">Achieved TFLOP/s of the iteration's updates; 0 when there was none.</param>
    public Dictionary<string, double> Take(long steps, double teraflops)
    {
        var result = _sums.ToDictionary(
            sum => sum.Key,
            sum => sum.Key.EndsWith("_max", StringComparison.Ordinal) ? sum.Value : sum.Value / _steps);
        result[names.Steps] = steps;
        result[$"{names.Part}/overflow_steps"] = _overflows;
        if (teraflops > 0)
            result[names.Speed] = teraflops;
        return result;
    }

    private string NameOf(string metric) =>
        metric.StartsWith(names.Part + "/", StringComparison.Ordinal) ? metric : $"{names.Part}/{metric.Replace('/', '_')}";

    private void Add(string name, double value) =>
        _sums[name] = !_sums.TryGetValue(name, out var before) ? value
            : name.EndsWith("_max", StringComparison.Ordinal) ? Math.Max(before, value)
            : before + value;
}
