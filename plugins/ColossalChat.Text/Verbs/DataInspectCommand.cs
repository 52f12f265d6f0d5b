using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>Options of <c>data inspect</c>.</summary>
public sealed record DataInspectOptions
{
    /// <summary>Data file.</summary>
    [CliArgument(0)]
    [CliHelp("Data file: JSON list, jsonl or plain text")]
    public required string File { get; init; }

    /// <summary>Rows shown. Default 3.</summary>
    [CliHelp("Rows to show")]
    public int Rows { get; init; } = 3;

    /// <summary>Shape of the file; told by its first row by default.</summary>
    [CliHelp("Shape: auto, alpaca, conversation, preference, prompt, text")]
    public DataFormat Format { get; init; } = DataFormat.Auto;
}

/// <summary>Shows what a data file is: shape, rows, fields, first rows, and every malformed row's place.</summary>
internal sealed class DataInspectCommand : CliCommand<DataInspectOptions>
{
    private const int ProblemsShown = 20;
    private const int Width = 100;

    /// <inheritdoc/>
    public override string Path => "data inspect";

    /// <inheritdoc/>
    public override string Summary => "Show shape, rows, fields and problems of a data file";

    /// <inheritdoc/>
    protected override Task<ExitCode> RunAsync(DataInspectOptions options, CliContext context, CancellationToken cancel)
    {
        var dataset = FileDataset.Load([options.File], options.Format, BadRows.Skip);
        dataset.RefuseEmpty();
        var output = context.Out;
        output.WriteLine($"{options.File}: {dataset.Formats[0].Format.ToString().ToLowerInvariant()}, {dataset.Rows.Count} rows, {dataset.Problems.Count} malformed");
        output.WriteLine($"parts: {Parts(dataset.Rows)}");
        foreach (var row in dataset.Rows.Take(options.Rows))
        {
            output.WriteLine($"row {row.Row}");
            foreach (var message in row.Prompt)
                output.WriteLine($"  {message.Role.ToString().ToLowerInvariant(),-9} {Shown.Short(message.Text, Width)}");
            if (row.Answer is not null)
                output.WriteLine($"  {(row.Rejected is null ? row.Prompt.Count == 0 ? "text" : "answer" : "chosen"),-9} {Shown.Short(row.Answer, Width)}");
            if (row.Rejected is not null)
                output.WriteLine($"  rejected  {Shown.Short(row.Rejected, Width)}");
            if (row.FieldsJson != "{}")
                output.WriteLine($"  fields    {Shown.Short(row.FieldsJson, Width)}");
        }

        foreach (var problem in dataset.Problems.Take(ProblemsShown))
            output.WriteLine($"{problem.File}, row {problem.Row}: {problem.Message}");
        if (dataset.Problems.Count > ProblemsShown)
            output.WriteLine($"... and {dataset.Problems.Count - ProblemsShown} more");
        return Task.FromResult(dataset.Rows.Count == 0 ? ExitCode.Invalid : ExitCode.Ok);
    }

    private static string Parts(IReadOnlyList<DataRow> rows)
    {
        (string Name, int Count)[] parts =
        [
            ("system", rows.Count(row => row.Prompt.Count > 0 && row.Prompt[0].Role == ChatRole.System)),
            ("prompt", rows.Count(row => row.Prompt.Count > 0)),
            ("input", rows.Count(row => row.Prompt.Any(message => message.Input is not null))),
            ("several questions", rows.Count(row => row.Prompt.Count(message => message.Role == ChatRole.User) > 1)),
            ("answer", rows.Count(row => row.Answer is not null && row.Prompt.Count > 0)),
            ("rejected", rows.Count(row => row.Rejected is not null)),
            ("plain text", rows.Count(row => row.Prompt.Count == 0)),
            ("other fields", rows.Count(row => row.FieldsJson != "{}")),
        ];
        return string.Join(", ", parts.Where(part => part.Count > 0).Select(part => $"{part.Name} {part.Count}"));
    }
}
