namespace ColossalChat.Host.Commands;

/// <summary>Where a run's time went, how idle its roles were, and how old the weights that wrote its tokens.</summary>
/// <param name="Iterations">Training iterations that it is told of; 0 for a run that has none.</param>
/// <param name="StepSeconds">Mean time of an iteration.</param>
/// <param name="Phases">The phases by name, in the order of an iteration. Their shares may pass 1 together where phases run side by side.</param>
/// <param name="Idle">Idle shares by role; empty for runs that did not tell.</param>
/// <param name="Staleness">Staleness; null for runs that write no answers or did not tell.</param>
internal sealed record RunTimes(
    int Iterations, double StepSeconds, IReadOnlyDictionary<string, PhaseTime> Phases, IReadOnlyDictionary<string, IdleTime> Idle, RunStaleness? Staleness)
{
    private const string IdlePrefix = "timing/idle_share/";
    private const string SharePrefix = "rollout/staleness_share/";

    // As an iteration goes: metric and what people call it.
    private static readonly (string Metric, string Phase)[] s_phases =
    [
        ("perf/data_wait_s", "data"), ("timing/generate_s", "generate"), ("timing/ref_s", "reference"), ("timing/value_s", "value"),
        ("timing/reward_s", "reward"), ("timing/experience_s", "experience"), ("timing/learn_s", "learn"), ("timing/publish_s", "publish"),
        ("timing/save_wait_s", "wait for checkpoint"),
    ];

    /// <summary>Of a run's training iterations.</summary>
    public static RunTimes Of(RunReader run)
    {
        var lines = run.Lines.Where(line => line.Purpose == "train" && line.Metrics.GetValueOrDefault("perf/step_s") > 0).Select(line => line.Metrics).ToArray();
        if (lines.Length == 0)
            return new RunTimes(0, 0, new Dictionary<string, PhaseTime>(), new Dictionary<string, IdleTime>(), null);
        return new RunTimes(
            lines.Length,
            lines.Average(line => line["perf/step_s"]),
            PhasesOf(lines),
            NamesWith(lines, IdlePrefix).ToDictionary(name => name[IdlePrefix.Length..], name => IdleTime.Of([.. ValuesOf(lines, name)])),
            RunStaleness.Of(lines, NamesWith(lines, SharePrefix), SharePrefix));
    }

    // A phase that an iteration does not have took no time in it. What no phase explains is named too, so that nobody looks for it.
    private static OrderedDictionary<string, PhaseTime> PhasesOf(IReadOnlyDictionary<string, double>[] lines)
    {
        var phases = new OrderedDictionary<string, PhaseTime>();
        foreach (var (metric, phase) in s_phases.Where(entry => lines.Any(line => line.ContainsKey(entry.Metric))))
            phases[phase] = PhaseTime.Of(lines, line => line.GetValueOrDefault(metric));
        phases["other"] = PhaseTime.Of(lines, line => Math.Max(0, line["perf/step_s"] - s_phases.Sum(entry => line.GetValueOrDefault(entry.Metric))));
        return phases;
    }

    private static string[] NamesWith(IReadOnlyDictionary<string, double>[] lines, string prefix) =>
        [.. lines.SelectMany(line => line.Keys).Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).Distinct().Order(StringComparer.Ordinal)];

    private static IEnumerable<double> ValuesOf(IReadOnlyDictionary<string, double>[] lines, string metric) =>
        lines.Where(line => line.ContainsKey(metric)).Select(line => line[metric]);
}

/// <summary>One phase of the iterations.</summary>
/// <param name="MeanSeconds">Mean over the iterations.</param>
/// <param name="MeanShare">Mean of its share of each iteration.</param>
/// <param name="LastShare">That of the last iteration.</param>
internal sealed record PhaseTime(double MeanSeconds, double MeanShare, double LastShare)
{
    public static PhaseTime Of(IReadOnlyDictionary<string, double>[] lines, Func<IReadOnlyDictionary<string, double>, double> seconds) => new(
        lines.Average(seconds), lines.Average(line => seconds(line) / line["perf/step_s"]), seconds(lines[^1]) / lines[^1]["perf/step_s"]);
}

/// <summary>How idle a role was, as shares of iterations.</summary>
internal sealed record IdleTime(double Mean, double Min, double Max, double Last)
{
    public static IdleTime Of(double[] shares) => new(shares.Average(), shares.Min(), shares.Max(), shares[^1]);
}

/// <summary>How many updates old the weights were that wrote the tokens trained on.</summary>
/// <param name="Mean">Mean over tokens, then over iterations.</param>
/// <param name="Max">Largest.</param>
/// <param name="Shares">Share of the tokens by updates, <c>16+</c> being the last; mean over iterations.</param>
internal sealed record RunStaleness(double Mean, double Max, IReadOnlyDictionary<string, double> Shares)
{
    public static RunStaleness? Of(IReadOnlyDictionary<string, double>[] lines, IEnumerable<string> names, string prefix)
    {
        var told = lines.Where(line => line.ContainsKey("rollout/staleness_mean")).ToArray();
        return told.Length == 0
            ? null
            : new RunStaleness(
                told.Average(line => line["rollout/staleness_mean"]),
                told.Max(line => line["rollout/staleness_max"]),
                new OrderedDictionary<string, double>(names
                    .Select(name => KeyValuePair.Create(name[prefix.Length..], told.Average(line => line.GetValueOrDefault(name))))
                    .OrderBy(entry => int.Parse(entry.Key.TrimEnd('+'), System.Globalization.CultureInfo.InvariantCulture))));
    }
}
