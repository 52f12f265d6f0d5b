using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Commands;

/// <summary>Options of <c>run compare</c>.</summary>
internal sealed record RunCompareOptions
{
    [CliArgument(0)]
    [CliHelp("Run folders or names, two or more.")]
    public required IReadOnlyList<string> Runs { get; init; }

    [CliHelp("Folder of runs, for names.")]
    public string Folder { get; init; } = "runs";

    [CliHelp("Metric compared; may be repeated. All when left out.")]
    public IReadOnlyList<string> Key { get; init; } = [];

    [CliHelp("Draw the metrics into this PNG file, one chart for each; without --key the best known ones.")]
    public string? Png { get; init; }
}

/// <summary>Sets runs side by side.</summary>
internal sealed class RunCompareCommand : CliCommand<RunCompareOptions>
{
    private const int MostCharts = 12;
    private static readonly HashSet<string> s_wellKnown = [.. WellKnownMetrics.Trained, .. WellKnownMetrics.Measured];

    public override string Path => "run compare";

    public override string Summary => "Compare runs: settings that differ, last values of metrics, and their curves in a PNG file.";

    protected override async Task<ExitCode> RunAsync(RunCompareOptions options, CliContext context, CancellationToken cancel)
    {
        var runs = options.Runs.Select(run => RunReader.Open(run, options.Folder)).ToArray();
        var names = MetricChoice.Of(options.Key, runs);
        await context.Out.WriteLineAsync($"{"",-40} {string.Join(' ', runs.Select(run => $"{run.Name,16}"))}").ConfigureAwait(false);
        foreach (var (key, values) in Differences(runs))
            await context.Out.WriteLineAsync($"{key,-40} {string.Join(' ', values.Select(value => $"{value,16}"))}").ConfigureAwait(false);
        foreach (var name in names)
            await context.Out.WriteLineAsync($"{name,-40} {string.Join(' ', runs.Select(run => $"{Last(run, name),16}"))}").ConfigureAwait(false);
        if (options.Png is not { } file)
            return ExitCode.Ok;
        var drawn = names.Count <= MostCharts ? names : names.Where(s_wellKnown.Contains).Take(MostCharts).ToArray();
        if (drawn.Count == 0 || (options.Key.Count > 0 && drawn.Count < names.Count))
            throw new UserErrorException($"--png draws at most {MostCharts} metrics, these are {names.Count}; choose with --key, such as --key reward/score.", ExitCode.Usage);
        var charts = drawn.Select(name => new Chart(name, "iteration", name, runs.Select(run => Line(run, name)).Where(line => line.X.Count > 0).ToArray())).ToArray();
        context.Node.Resolve<IChartRenderer>("png").RenderPng(charts, file);
        await context.Error.WriteLineAsync(drawn.Count == names.Count ? $"drawn: {file}" : $"drawn: {file} with {string.Join(", ", drawn)}; --key NAME draws others").ConfigureAwait(false);
        return ExitCode.Ok;
    }

    private static string Last(RunReader run, string metric) =>
        run.Series(metric).Select(point => RunReader.Number(point.Value)).LastOrDefault("-");

    private static ChartLine Line(RunReader run, string metric)
    {
        var points = run.Series(metric).ToArray();
        return new ChartLine(run.Name, points.Select(point => (double)point.Iteration).ToArray(), points.Select(point => point.Value).ToArray());
    }

    private static IEnumerable<(string Key, IReadOnlyList<string> Values)> Differences(IReadOnlyList<RunReader> runs)
    {
        var settings = runs.Select(run => FlatSettings.OfFile(run.Folder.EffectiveConfig)).ToArray();
        foreach (var key in settings.SelectMany(values => values.Keys).Distinct())
        {
            string[] values = [.. settings.Select(run => run.GetValueOrDefault(key, "-"))];
            if (values.Distinct().Count() > 1)
                yield return (key, values);
        }
    }
}
