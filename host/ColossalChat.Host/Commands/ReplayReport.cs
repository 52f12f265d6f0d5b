using System.Globalization;
using System.Text.Json;
using ColossalChat.Cluster;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Commands;

/// <summary>Says what a replay gave.</summary>
/// <param name="run">The run.</param>
/// <param name="from">Where the replay began; null for the weights before training.</param>
/// <param name="output">Takes it.</param>
internal sealed class ReplayReport(RunReader run, Checkpoint? from, TextWriter output)
{
    // Times and what the machine did; they are never the same twice.
    private static readonly string[] s_ofTheMoment = ["timing/", "perf/", "sys/", "run/", "gen/tokens_per_s"];

    /// <summary>Says whether the weights are the same bits.</summary>
    public async Task ProvedAsync(IReadOnlyList<ReplayedIteration> iterations, bool isJson)
    {
        var rows = iterations.SelectMany(iteration => iteration.Replayed.Select(model => new
        {
            iteration = iteration.Iteration,
            model = model.Key,
            journalled = iteration.Journalled.GetValueOrDefault(model.Key, ""),
            replayed = model.Value,
            identical = iteration.Journalled.GetValueOrDefault(model.Key) == model.Value,
        })).ToArray();
        var isIdentical = iterations.All(iteration => iteration.IsIdentical);
        if (isJson)
        {
            await WriteAsync(new { run = run.Folder.Path, from = from?.Iteration ?? 0, iteration = iterations[^1].Iteration, identical = isIdentical, weights = rows }).ConfigureAwait(false);
            return;
        }

        await output.WriteLineAsync(Begin).ConfigureAwait(false);
        await output.WriteLineAsync($"{"iteration",9}  {"model",-12} {"weights in the run",-34} {"weights in the replay",-34}").ConfigureAwait(false);
        foreach (var row in rows)
            await output.WriteLineAsync(string.Create(
                CultureInfo.InvariantCulture, $"{row.iteration,9}  {row.model,-12} {Short(row.journalled),-34} {Short(row.replayed),-34} {(row.identical ? "identical" : "DIFFERENT")}")).ConfigureAwait(false);
        await output.WriteLineAsync(isIdentical ? "The replay has the run's weights, bit for bit." : "The replay has NOT the run's weights.").ConfigureAwait(false);
    }

    /// <summary>Sets the numbers of an iteration beside those that other settings gave it.</summary>
    public async Task ComparedAsync(ReplayedIteration other, IReadOnlyList<string> with, bool isJson)
    {
        var own = run.Lines.LastOrDefault(line => line.Iteration == other.Iteration && line.Purpose == "train")?.Metrics ?? new Dictionary<string, double>();
        var metrics = own.Keys.Union(other.Metrics.Keys)
            .Where(name => !s_ofTheMoment.Any(moment => name.StartsWith(moment, StringComparison.Ordinal)))
            .Order(StringComparer.Ordinal)
            .Select(name => (Name: name, Own: Value(own, name), Other: Value(other.Metrics, name)))
            .ToArray();
        if (isJson)
        {
            await WriteAsync(new
            {
                run = run.Folder.Path,
                from = from?.Iteration ?? 0,
                iteration = other.Iteration,
                with,
                metrics = metrics.ToDictionary(metric => metric.Name, metric => new { run = metric.Own, replay = metric.Other, difference = metric.Other - metric.Own }),
            }).ConfigureAwait(false);
            return;
        }

        await output.WriteLineAsync(Begin).ConfigureAwait(false);
        await output.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"iteration {other.Iteration}, the same answers and scores, with {string.Join(", ", with)}")).ConfigureAwait(false);
        await output.WriteLineAsync($"{"metric",-32} {"run",14} {"replay",14} {"difference",14}").ConfigureAwait(false);
        foreach (var (name, before, after) in metrics)
            await output.WriteLineAsync($"{name,-32} {Text(before),14} {Text(after),14} {Text(after - before),14}").ConfigureAwait(false);
    }

    private string Begin => string.Create(
        CultureInfo.InvariantCulture, $"run {run.Name}, trained again from its journal after iteration {from?.Iteration ?? 0} ({(from is null ? "the weights before training" : from.Folder)})");

    private static double? Value(IReadOnlyDictionary<string, double> metrics, string name) => metrics.TryGetValue(name, out var value) ? value : null;

    private static string Text(double? value) => value is { } number ? number.ToString("G6", CultureInfo.InvariantCulture) : "-";

    private static string Short(string hash) => hash.Length switch
    {
        0 => "unknown",
        > 32 => hash[..32],
        _ => hash,
    };

    private Task WriteAsync<T>(T document) => output.WriteLineAsync(JsonSerializer.Serialize(document, JsonLines.Format));
}
