using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using ColossalChat.Contracts;
using ColossalChat.Models.Folders;

namespace ColossalChat.Models.Verbs;

/// <summary>Options of <c>eval perplexity</c>.</summary>
public sealed record PerplexityOptions
{
    /// <summary>Model folder.</summary>
    [CliHelp("Model folder")]
    public required string Model { get; init; }

    /// <summary>Text file, UTF-8.</summary>
    [CliHelp("Text file; paragraphs are separated by blank lines")]
    public required string Text { get; init; }

    /// <summary>Paragraphs measured, from the file's start. Default 200.</summary>
    [CliHelp("Paragraphs measured, from the start")]
    public int Paragraphs { get; init; } = 200;

    /// <summary>Shorter paragraphs are passed over: characters that a paragraph must exceed. Default 100.</summary>
    [CliHelp("Characters that a paragraph must exceed to count")]
    public int MinCharacters { get; init; } = 100;

    /// <summary>float32, bfloat16 or float16; null takes the format's own.</summary>
    [CliHelp("Element type of weights: float32, bfloat16, float16")]
    public string? Precision { get; init; }

    /// <summary>cpu or cuda:N. Default cpu.</summary>
    [CliHelp("Device: cpu or cuda:N")]
    public string Device { get; init; } = "cpu";

    /// <summary>One JSON document: perplexity, mean_nll, tokens.</summary>
    [CliHelp("One JSON document")]
    public bool Json { get; init; }
}

/// <summary>
/// Perplexity of a text: each paragraph is encoded with BOS, cut to the context, and judged alone; the exponential of the
/// mean negative log-likelihood over all predicted tokens.
/// </summary>
internal sealed partial class PerplexityCommand : CliCommand<PerplexityOptions>
{
    /// <inheritdoc/>
    public override string Path => "eval perplexity";

    /// <inheritdoc/>
    public override string Summary => "Perplexity of a text file under a model";

    /// <summary>The paragraphs that count, from the start of a text.</summary>
    public static IReadOnlyList<string> ParagraphsOf(string text, int minCharacters, int count) =>
        [.. BlankLine().Split(text.ReplaceLineEndings("\n"))
            .Select(paragraph => paragraph.Trim())
            .Where(paragraph => paragraph.Length > minCharacters)
            .Take(count)];

    /// <summary>Negative log-likelihood in nats, and the number of predicted tokens.</summary>
    public static (double Sum, long Tokens) Measure(ILanguageModel model, ITokenizer tokenizer, IEnumerable<string> paragraphs, CancellationToken cancel)
    {
        var rows = paragraphs.Select(paragraph => tokenizer.EncodeDocument(paragraph).Take(model.ContextLength).ToArray());
        var logProbs = model.LogProbs(Ragged.FromRows(rows.Where(row => row.Length > 1)), cancel);
        double sum = 0;
        foreach (var logProb in logProbs.Values.Span)
            sum -= logProb;
        return (sum, logProbs.Values.Length);
    }

    /// <inheritdoc/>
    protected override async Task<ExitCode> RunAsync(PerplexityOptions options, CliContext context, CancellationToken cancel)
    {
        if (!File.Exists(options.Text))
            throw new UserErrorException($"Text file '{options.Text}' does not exist.", ExitCode.NotFound);
        var paragraphs = ParagraphsOf(await File.ReadAllTextAsync(options.Text, cancel).ConfigureAwait(true), options.MinCharacters, options.Paragraphs);
        if (paragraphs.Count == 0)
            throw new UserErrorException($"{options.Text} has no paragraph of more than {options.MinCharacters} characters; lower --min-characters.");
        using var lease = context.Node.Devices.Take(options.Device, cancel);
        using var model = context.Node.OpenModel(options.Model, new ModelOpenOptions { Precision = options.Precision, Device = options.Device });
        var tokenizer = (model.Text ?? FolderText.Open(context.Node, options.Model)).Tokenizer;
        var (sum, tokens) = Measure(model.LanguageModel, tokenizer, paragraphs, cancel);
        var mean = sum / tokens;
        if (options.Json)
            context.Out.WriteJson(new JsonObject { ["perplexity"] = Math.Exp(mean), ["mean_nll"] = mean, ["tokens"] = tokens, ["paragraphs"] = paragraphs.Count });
        else
            await context.Out.WriteLineAsync($"perplexity {Math.Exp(mean):F4} (mean negative log-likelihood {mean:F5} nats over {tokens} tokens of {paragraphs.Count} paragraphs)").ConfigureAwait(true);
        return ExitCode.Ok;
    }

    [GeneratedRegex(@"\n[ \t]*\n")]
    private static partial Regex BlankLine();
}
