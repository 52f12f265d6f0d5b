using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>Options of <c>data preview</c>.</summary>
public sealed record DataPreviewOptions
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

    /// <summary>Rows shown. Default 2.</summary>
    [CliHelp("Rows to show")]
    public int Rows { get; init; } = 2;

    /// <summary>Longest sequence in tokens; 0 takes the model's context.</summary>
    [CliHelp("Longest sequence in tokens; 0 takes the model's context")]
    public int MaxTokens { get; init; }

    /// <summary>Shape of the file; told by its first row by default.</summary>
    [CliHelp("Shape: auto, alpaca, conversation, preference, prompt, text")]
    public DataFormat Format { get; init; } = DataFormat.Auto;
}

/// <summary>Shows rows as the trainer will see them: every token, and whether it carries loss.</summary>
internal sealed class DataPreviewCommand : CliCommand<DataPreviewOptions>
{
    private const string Green = "\u001b[32m";
    private const string Plain = "\u001b[0m";

    /// <inheritdoc/>
    public override string Path => "data preview";

    /// <inheritdoc/>
    public override string Summary => "Show the tokens of data rows and which of them carry loss";

    /// <inheritdoc/>
    protected override Task<ExitCode> RunAsync(DataPreviewOptions options, CliContext context, CancellationToken cancel)
    {
        var text = ModelText.Open(context.Node, options.Model, options.Template);
        var dataset = FileDataset.Load([options.File], options.Format, BadRows.Skip);
        dataset.RefuseEmpty();
        var maxTokens = options.MaxTokens == 0 ? ModelContext.OfFolder(options.Model) ?? int.MaxValue : options.MaxTokens;
        var colours = ReferenceEquals(context.Out, Console.Out) && !Console.IsOutputRedirected
            && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
        context.Out.WriteLine($"template {text.Template.Name}; {(colours ? $"{Green}green{Plain}" : "+")} tokens carry loss");
        foreach (var row in dataset.Rows.Take(options.Rows))
            foreach (var (what, chat) in Sequences(row, text))
                Print(context.Out, $"row {row.Row}{what}", chat, text.Tokenizer, maxTokens, colours);
        foreach (var problem in dataset.Problems.Take(5))
            context.Error.WriteLine($"{problem.File}, row {problem.Row}: {problem.Message}");
        return Task.FromResult(ExitCode.Ok);
    }

    private static IEnumerable<(string What, EncodedChat Chat)> Sequences(DataRow row, TextModel text)
    {
        if (row.Answer is null && row.Prompt.Count > 0)
        {
            yield return (", prompt", text.Template.Encode(row.Prompt, forAnswer: row.Prompt[^1].Role == ChatRole.User));
            yield break;
        }

        if (TrainingItems.EncodePair(row, text) is [var chosen, var rejected])
        {
            yield return (", chosen", chosen);
            yield return (", rejected", rejected);
        }
        else if (TrainingItems.Encode(row, text) is { } chat)
        {
            yield return ("", chat);
        }
    }

    private static void Print(TextWriter output, string title, EncodedChat chat, ITokenizer tokenizer, int maxTokens, bool colours)
    {
        var targets = chat.IsTarget.Count(isTarget => isTarget);
        var beyond = chat.Ids.Length > maxTokens ? $", {chat.Ids.Length - maxTokens} beyond the context of {maxTokens}" : "";
        output.WriteLine($"{title}: {chat.Ids.Length} tokens, {targets} carry loss{beyond}");
        var previous = 0;
        for (var i = 0; i < chat.Ids.Length; i++)
        {
            // A token's own text alone would lose its leading space; half a character shows with the token that ends it.
            var upTo = tokenizer.Decode(chat.Ids.Take(i + 1), withSpecial: true).TrimEnd('\uFFFD');
            var part = upTo.Length >= previous ? Shown.OneLine(upTo[previous..]) : "";
            previous = upTo.Length;
            if (colours)
                output.Write(chat.IsTarget[i] ? $"{Green}{part}{Plain}" : part);
            else
                output.WriteLine($"  {i,5} {chat.Ids[i],6} {(chat.IsTarget[i] ? '+' : '.')} \"{part}\"");
        }

        output.WriteLine();
    }
}
