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

/// <summary>Options of <c>run show</c>.</summary>
internal sealed record RunShowOptions
{
    [CliArgument(0)]
    [CliHelp("Run folder, or a run's name.")]
    public required string Run { get; init; }

    [CliHelp("Folder of runs, for names.")]
    public string Folder { get; init; } = "runs";

    [CliHelp("Events shown, the newest.")]
    public int Events { get; init; } = 10;
}

/// <summary>Shows one run.</summary>
internal sealed class RunShowCommand : CliCommand<RunShowOptions>
{
    public override string Path => "run show";

    public override string Summary => "Show a run: last and best value of every metric, the account of its samples, its checkpoints and last events, the command that began it.";

    protected override async Task<ExitCode> RunAsync(RunShowOptions options, CliContext context, CancellationToken cancel)
    {
        var run = RunReader.Open(options.Run, options.Folder);
        var output = context.Out;
        await output.WriteLineAsync($"run {run.Name} in {run.Folder.Path}, last iteration {run.LastIteration.ToString(CultureInfo.InvariantCulture)}").ConfigureAwait(false);
        if (File.Exists(run.Folder.EnvironmentFile))
        {
            using var file = JsonDocument.Parse(await File.ReadAllTextAsync(run.Folder.EnvironmentFile, cancel).ConfigureAwait(false));
            await output.WriteLineAsync($"begun with: colossalchat {file.RootElement.GetProperty("command_line").GetString()}").ConfigureAwait(false);
        }

        await output.WriteLineAsync($"{"metric",-32} {"last",12} {"min",12} {"max",12}").ConfigureAwait(false);
        foreach (var name in run.MetricNames)
        {
            var values = run.Series(name).Select(point => point.Value).ToArray();
            await output.WriteLineAsync($"{name,-32} {RunReader.Number(values[^1]),12} {RunReader.Number(values.Min()),12} {RunReader.Number(values.Max()),12}").ConfigureAwait(false);
        }

        if (Cluster.JournalReader.Audit(run.Folder.Path) is { } audit)
            foreach (var line in (string[])[$"ledger: {audit.Line}", .. audit.Remarks.Select(remark => $"journal: {remark}")])
                await output.WriteLineAsync(line).ConfigureAwait(false);

        foreach (var checkpoint in Cluster.Checkpoints.List(run.Folder.Path))
        {
            var score = checkpoint.Score is { } known ? $", {known.Rule.Metric} {RunReader.Number(known.Value)}{(checkpoint.IsBest ? ", the best" : "")}" : "";
            await output.WriteLineAsync($"checkpoint {checkpoint.Folder}{score}").ConfigureAwait(false);
        }

        foreach (var line in run.Events.TakeLast(Math.Max(0, options.Events)))
            await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{line.Time:yyyy-MM-dd HH:mm:ss} {line.Kind}: {line.Message}")).ConfigureAwait(false);
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
