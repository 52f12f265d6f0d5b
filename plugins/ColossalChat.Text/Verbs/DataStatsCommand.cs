using System.Text.Json.Nodes;
using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>Options of <c>data stats</c>.</summary>
public sealed record DataStatsOptions
{
    /// <summary>Data file.</summary>
    [CliArgument(0)]
    [CliHelp("Data file: JSON list, jsonl or plain text")]
    public required string File { get; init; }

    /// <summary>Model folder whose tokenizer and template are used.</summary>
    [CliHelp("Model folder whose tokenizer and template are used")]
    public required string Model { get; init; }

    /// <summary>Another chat template than the folder's.</summary>
    [CliHelp("Another chat template than the folder's")]
    public string? Template { get; init; }

    /// <summary>Longest sequence in tokens; 0 takes the model's context.</summary>
    [CliHelp("Longest sequence in tokens; 0 takes the model's context")]
    public int MaxTokens { get; init; }

    /// <summary>Shape of the file; told by its first row by default.</summary>
    [CliHelp("Shape: auto, alpaca, conversation, preference, prompt, text")]
    public DataFormat Format { get; init; } = DataFormat.Auto;

    /// <summary>One JSON document.</summary>
    [CliHelp("One JSON document")]
    public bool Json { get; init; }
}

/// <summary>Counts tokens of a data file: lengths, targets, writings, and what a context would leave out.</summary>
internal sealed class DataStatsCommand : CliCommand<DataStatsOptions>
{
    private const int BarWidth = 40;
    private const int ProblemsShown = 5;

    /// <inheritdoc/>
    public override string Path => "data stats";

    /// <inheritdoc/>
    public override string Summary => "Count the tokens of a data file and what a context leaves out";

    /// <inheritdoc/>
    protected override Task<ExitCode> RunAsync(DataStatsOptions options, CliContext context, CancellationToken cancel)
    {
        var text = ModelText.Open(context.Node, options.Model, options.Template);
        var dataset = FileDataset.Load([options.File], options.Format, BadRows.Skip);
        dataset.RefuseEmpty();
        var maxTokens = ModelContext.Resolve(options.MaxTokens, options.Model);
        var statistics = Count(dataset, text, maxTokens);
        if (options.Json)
            context.Out.WriteLine(statistics.ToJsonString());
        else
            Print(context.Out, statistics);
        foreach (var problem in dataset.Problems.Take(ProblemsShown))
            context.Error.WriteLine($"{problem.File}, row {problem.Row}: {problem.Message}");
        if (dataset.Problems.Count > ProblemsShown)
            context.Error.WriteLine($"... and {dataset.Problems.Count - ProblemsShown} more; `data inspect` shows more of them");
        return Task.FromResult(ExitCode.Ok);
    }

    private static JsonObject Count(FileDataset dataset, TextModel text, int maxTokens)
    {
        var isPairs = dataset.Rows.Any(row => row.Rejected is not null);
        var lengths = new List<int>();
        var targets = 0L;
        foreach (var chat in dataset.Rows.SelectMany(row => Sequences(row, text)))
        {
            lengths.Add(chat.Ids.Length);
            targets += chat.IsTarget.Count(isTarget => isTarget);
        }

        lengths.Sort();
        var kept = isPairs ? TrainingItems.OfPairs(dataset, text, maxTokens) : TrainingItems.OfAnswers(dataset, text, maxTokens, truncate: true);
        var hasAnswers = dataset.Rows.Any(row => row.Answer is not null);
        return new JsonObject
        {
            ["format"] = dataset.Formats[0].Format.ToString().ToLowerInvariant(),
            ["template"] = text.Template.Name,
            ["rows"] = dataset.Rows.Count,
            ["malformed"] = dataset.Problems.Count,
            ["sequences"] = lengths.Count,
            ["tokens"] = lengths.Sum(length => (long)length),
            ["target_tokens"] = targets,
            ["length"] = Quantiles(lengths),
            ["histogram"] = Histogram(lengths),
            ["languages"] = new JsonObject(dataset.Rows
                .GroupBy(row => TextLanguage.Of(string.Concat(row.Prompt.Select(message => message.Text)) + row.Answer))
                .OrderByDescending(group => group.Count())
                .Select(group => KeyValuePair.Create(group.Key, (JsonNode?)Math.Round((double)group.Count() / dataset.Rows.Count, 4)))),
            ["context"] = maxTokens,
            ["dropped_at_context"] = hasAnswers ? kept.Dropped.CountOf("too_long") + kept.Dropped.CountOf("prompt_too_long") : lengths.Count(length => length > maxTokens),
            ["cut_at_context"] = hasAnswers ? kept.Truncated : 0,
        };
    }

    private static EncodedChat[] Sequences(DataRow row, TextModel text)
    {
        if (TrainingItems.EncodePair(row, text) is { } pair)
            return pair;
        if (TrainingItems.Encode(row, text) is { } chat)
            return [chat];
        return row.Prompt.Count > 0 ? [text.Template.Encode(row.Prompt, forAnswer: true)] : [];
    }

    private static JsonObject Quantiles(List<int> sorted)
    {
        int At(double share) => sorted.Count == 0 ? 0 : sorted[(int)(share * (sorted.Count - 1))];
        return new JsonObject
        {
            ["min"] = At(0),
            ["mean"] = sorted.Count == 0 ? 0 : Math.Round(sorted.Average(), 1),
            ["p50"] = At(0.5),
            ["p90"] = At(0.9),
            ["p99"] = At(0.99),
            ["max"] = At(1),
        };
    }

    // Bins double in width: 1-16, 17-32, 33-64, ...
    private static JsonArray Histogram(List<int> sorted)
    {
        var bins = new JsonArray();
        var counted = 0;
        for (var upTo = 16L; counted < sorted.Count; upTo *= 2)
        {
            var within = sorted.Count(length => length <= upTo);
            bins.Add(new JsonObject { ["up_to"] = upTo, ["count"] = within - counted });
            counted = within;
        }

        return bins;
    }

    private static void Print(TextWriter output, JsonObject statistics)
    {
        string Of(string name) => statistics[name]!.ToJsonString();
        output.WriteLine($"{Of("format").Trim('"')}: {Of("rows")} rows, {Of("malformed")} malformed; template {Of("template").Trim('"')}");
        output.WriteLine($"{Of("tokens")} tokens in {Of("sequences")} sequences, {Of("target_tokens")} carry loss");
        output.WriteLine($"length {string.Join(", ", statistics["length"]!.AsObject().Select(pair => $"{pair.Key} {pair.Value}"))}");
        var bins = statistics["histogram"]!.AsArray().Select(bin => (UpTo: (long)bin!["up_to"]!, Count: (int)bin["count"]!)).ToArray();
        var most = bins.Select(bin => bin.Count).DefaultIfEmpty(1).Max();
        foreach (var (upTo, count) in bins)
            output.WriteLine($"  up to {upTo,6} {count,7} {new string('#', (int)Math.Ceiling((double)BarWidth * count / Math.Max(1, most)))}");
        output.WriteLine($"writing: {string.Join(", ", statistics["languages"]!.AsObject().Select(pair => $"{pair.Key} {(double)pair.Value!:P1}"))}");
        output.WriteLine($"a context of {Of("context")} tokens leaves out {Of("dropped_at_context")} rows and cuts {Of("cut_at_context")}");
    }
}
