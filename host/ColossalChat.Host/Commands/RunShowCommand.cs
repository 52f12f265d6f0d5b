using System.Globalization;
using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Commands;

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

    [CliHelp("One JSON document.")]
    public bool Json { get; init; }
}

/// <summary>Shows one run.</summary>
internal sealed class RunShowCommand : CliCommand<RunShowOptions>
{
    public override string Path => "run show";

    public override string Summary =>
        "Show a run: last and best value of every metric, where its time went, how idle its roles were, how stale its samples, its checkpoints and last events, the command that began it.";

    protected override async Task<ExitCode> RunAsync(RunShowOptions options, CliContext context, CancellationToken cancel)
    {
        var run = RunReader.Open(options.Run, options.Folder);
        var page = await RunPage.OfAsync(run, options.Events, cancel).ConfigureAwait(false);
        var text = options.Json ? JsonSerializer.Serialize(page, JsonLines.Format) : string.Join('\n', page.Lines());
        await context.Out.WriteLineAsync(text).ConfigureAwait(false);
        return ExitCode.Ok;
    }
}

/// <summary>What is shown of a run; its JSON has the same names.</summary>
/// <param name="Run">Its name.</param>
/// <param name="Folder">Where it is.</param>
/// <param name="Iteration">Last iteration that it reported.</param>
/// <param name="Command">The words that began it; null where that is not known.</param>
/// <param name="Metrics">Every metric.</param>
/// <param name="Times">Phases, idle shares and staleness.</param>
/// <param name="Ledger">The account of its samples; null without a journal.</param>
/// <param name="Checkpoints">Those that are there.</param>
/// <param name="Events">The newest.</param>
internal sealed record RunPage(
    string Run, string Folder, long Iteration, string? Command, IReadOnlyDictionary<string, MetricRange> Metrics, RunTimes Times,
    Cluster.JournalAudit? Ledger, IReadOnlyList<CheckpointEntry> Checkpoints, IReadOnlyList<EventLine> Events)
{
    /// <summary>Reads a run's folder.</summary>
    public static async Task<RunPage> OfAsync(RunReader run, int events, CancellationToken cancel) => new(
        run.Name,
        run.Folder.Path,
        run.LastIteration,
        await CommandOfAsync(run, cancel).ConfigureAwait(false),
        new OrderedDictionary<string, MetricRange>(run.MetricNames.Select(name => KeyValuePair.Create(name, MetricRange.Of([.. run.Series(name).Select(point => point.Value)])))),
        RunTimes.Of(run),
        Cluster.JournalReader.Audit(run.Folder.Path),
        [.. Cluster.Checkpoints.List(run.Folder.Path).Select(checkpoint => new CheckpointEntry(checkpoint.Folder, checkpoint.Score?.Rule.Metric, checkpoint.Score?.Value, checkpoint.IsBest))],
        [.. run.Events.TakeLast(Math.Max(0, events))]);

    /// <summary>The page as text.</summary>
    public IEnumerable<string> Lines()
    {
        yield return $"run {Run} in {Folder}, last iteration {Iteration.ToString(CultureInfo.InvariantCulture)}";
        if (Command is not null)
            yield return $"begun with: colossalchat {Command}";
        yield return $"{"metric",-36} {"last",12} {"min",12} {"max",12}";
        foreach (var (name, range) in Metrics)
            yield return $"{name,-36} {RunReader.Number(range.Last),12} {RunReader.Number(range.Min),12} {RunReader.Number(range.Max),12}";
        foreach (var line in TimeLines())
            yield return line;
        if (Ledger is not null)
            yield return $"ledger: {Ledger.Line}";
        foreach (var remark in Ledger?.Remarks ?? [])
            yield return $"journal: {remark}";
        foreach (var checkpoint in Checkpoints)
            yield return $"checkpoint {checkpoint.Folder}{(checkpoint.Score is { } score ? $", {checkpoint.Metric} {RunReader.Number(score)}{(checkpoint.IsBest ? ", the best" : "")}" : "")}";
        foreach (var line in Events)
            yield return string.Create(CultureInfo.InvariantCulture, $"{line.Time:yyyy-MM-dd HH:mm:ss} {line.Kind}: {line.Message}");
    }

    private IEnumerable<string> TimeLines()
    {
        if (Times.Iterations == 0)
            yield break;
        yield return $"{$"phase of {RunReader.Number(Times.StepSeconds)} s",-36} {"mean s",12} {"mean share",12} {"last share",12}";
        foreach (var (name, phase) in Times.Phases)
            yield return $"{name,-36} {RunReader.Number(phase.MeanSeconds),12} {Share(phase.MeanShare),12} {Share(phase.LastShare),12}";
        if (Times.Idle.Count > 0)
            yield return $"{"idle share of role",-36} {"mean",12} {"min",12} {"max",12} {"last",12}";
        foreach (var (role, idle) in Times.Idle)
            yield return $"{role,-36} {Share(idle.Mean),12} {Share(idle.Min),12} {Share(idle.Max),12} {Share(idle.Last),12}";
        if (Times.Staleness is not { } staleness)
            yield break;
        yield return $"{"staleness in updates",-36} {"tokens",12}   mean {RunReader.Number(staleness.Mean)}, max {RunReader.Number(staleness.Max)}";
        foreach (var (updates, share) in staleness.Shares)
            yield return $"{updates,-36} {Share(share),12}";
    }

    private static string Share(double share) => (share * 100).ToString("0.0", CultureInfo.InvariantCulture) + " %";

    private static async Task<string?> CommandOfAsync(RunReader run, CancellationToken cancel)
    {
        if (!File.Exists(run.Folder.EnvironmentFile))
            return null;
        using var file = JsonDocument.Parse(await File.ReadAllTextAsync(run.Folder.EnvironmentFile, cancel).ConfigureAwait(false));
        return file.RootElement.GetProperty("command_line").GetString();
    }
}

/// <summary>A metric over a run.</summary>
internal sealed record MetricRange(double Last, double Min, double Max)
{
    public static MetricRange Of(double[] values) => new(values[^1], values.Min(), values.Max());
}

/// <summary>A checkpoint of a run; the score of the metric by which the best is kept, where there is one.</summary>
internal sealed record CheckpointEntry(string Folder, string? Metric, double? Score, bool IsBest);
