using System.Globalization;
using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Commands;

/// <summary>Options of <c>run list</c>.</summary>
internal sealed record RunListOptions
{
    [CliHelp("Folder of runs.")]
    public string Folder { get; init; } = "runs";

    [CliHelp("One JSON document.")]
    public bool Json { get; init; }
}

/// <summary>Lists runs.</summary>
internal sealed class RunListCommand : CliCommand<RunListOptions>
{
    public override string Path => "run list";

    public override string Summary => "List runs in a folder and below it, the newest first: last iteration and how each ended.";

    protected override async Task<ExitCode> RunAsync(RunListOptions options, CliContext context, CancellationToken cancel)
    {
        var runs = RunReader.All(options.Folder)
            .Select(run => new { name = System.IO.Path.GetRelativePath(options.Folder, run.Folder.Path), folder = run.Folder.Path, iteration = run.LastIteration, state = run.LastEvent?.Kind ?? "unknown", time = run.LastEvent?.Time })
            .ToArray();
        if (options.Json)
            await context.Out.WriteLineAsync(JsonSerializer.Serialize(runs, JsonLines.Format)).ConfigureAwait(false);
        else if (runs.Length == 0)
            await context.Error.WriteLineAsync($"There is no run in {System.IO.Path.GetFullPath(options.Folder)} or below it; --folder looks elsewhere.").ConfigureAwait(false);
        else
        {
            var width = Math.Max(30, runs.Max(run => run.name.Length));
            await context.Out.WriteLineAsync($"{"RUN".PadRight(width)} {"ITERATION",-10} {"STATE",-12} LAST EVENT").ConfigureAwait(false);
            foreach (var run in runs)
                await context.Out.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{run.name.PadRight(width)} {run.iteration,-10} {run.state,-12} {run.time:yyyy-MM-dd HH:mm}")).ConfigureAwait(false);
        }

        return ExitCode.Ok;
    }
}

/// <summary>Options of <c>run metrics</c>.</summary>
internal sealed record RunMetricsOptions
{
    [CliArgument(0)]
    [CliHelp("Run folder, or a run's name.")]
    public required string Run { get; init; }

    [CliHelp("Folder of runs, for names.")]
    public string Folder { get; init; } = "runs";

    [CliHelp("Metric shown; may be repeated. All when left out.")]
    public IReadOnlyList<string> Key { get; init; } = [];

    [CliHelp("One JSON document: an array of lines.")]
    public bool Json { get; init; }
}

/// <summary>Prints a run's numbers.</summary>
internal sealed class RunMetricsCommand : CliCommand<RunMetricsOptions>
{
    public override string Path => "run metrics";

    public override string Summary => "Print a run's metrics by iteration, as CSV or JSON.";

    protected override async Task<ExitCode> RunAsync(RunMetricsOptions options, CliContext context, CancellationToken cancel)
    {
        var run = RunReader.Open(options.Run, options.Folder);
        var names = MetricChoice.Of(options.Key, [run]);
        var lines = run.Lines.Where(line => names.Any(line.Metrics.ContainsKey)).ToArray();
        if (options.Json)
        {
            var rows = lines.Select(line => line with { Metrics = names.Where(line.Metrics.ContainsKey).ToDictionary(name => name, name => line.Metrics[name]) });
            await context.Out.WriteLineAsync(JsonSerializer.Serialize(rows, JsonLines.Format)).ConfigureAwait(false);
            return ExitCode.Ok;
        }

        await context.Out.WriteLineAsync($"iteration,purpose,{string.Join(',', names)}").ConfigureAwait(false);
        foreach (var line in lines)
            await context.Out.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture,
                $"{line.Iteration},{line.Purpose},{string.Join(',', names.Select(name => line.Metrics.TryGetValue(name, out var value) ? value.ToString("R", CultureInfo.InvariantCulture) : ""))}")).ConfigureAwait(false);
        return ExitCode.Ok;
    }
}

/// <summary>Which metrics a verb speaks of.</summary>
internal static class MetricChoice
{
    /// <summary>Those asked for, or all that some run has.</summary>
    /// <exception cref="UserErrorException">No run has one of them.</exception>
    public static IReadOnlyList<string> Of(IReadOnlyList<string> wanted, IReadOnlyList<RunReader> runs)
    {
        string[] known = [.. runs.SelectMany(run => run.MetricNames).Distinct().Order(StringComparer.Ordinal)];
        foreach (var name in wanted.Where(name => !known.Contains(name)))
            throw new UserErrorException($"No run has the metric '{name}'. {PluginHost.NearestName.Advice(name, known, "metrics")}", ExitCode.NotFound);
        return wanted.Count > 0 ? wanted : known;
    }
}
