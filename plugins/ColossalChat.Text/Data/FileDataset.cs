using System.Text;
using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>The rows of data files, read once and kept.</summary>
internal sealed class FileDataset : IDataset
{
    private static readonly UTF8Encoding _strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    // Which of two equal keys counts differs between readers, so a row that has them is not read at all.
    private static readonly JsonDocumentOptions _json = new() { AllowDuplicateProperties = false, MaxDepth = 128 };

    private readonly List<DataRow> _rows = [];
    private readonly List<DataProblem> _problems = [];
    private readonly List<(string File, DataFormat Format)> _formats = [];

    private FileDataset()
    {
    }

    /// <inheritdoc/>
    public IReadOnlyList<DataRow> Rows => _rows;

    /// <inheritdoc/>
    public IReadOnlyList<DataProblem> Problems => _problems;

    /// <summary>What each file turned out to be.</summary>
    public IReadOnlyList<(string File, DataFormat Format)> Formats => _formats;

    /// <summary>Reads files.</summary>
    /// <exception cref="UserErrorException">A file is missing, or has a malformed row and those are fatal.</exception>
    public static FileDataset Load(IReadOnlyList<string> files, DataFormat format, BadRows onBadRow)
    {
        var dataset = new FileDataset();
        foreach (var file in files)
            dataset.Read(file, format, onBadRow);
        return dataset;
    }

    /// <summary>Verbs about a file have nothing to say of one without rows.</summary>
    /// <exception cref="UserErrorException">No file has a row, not even a malformed one.</exception>
    public void RefuseEmpty()
    {
        if (_rows.Count == 0 && _problems.Count == 0)
            throw new UserErrorException($"{string.Join(", ", _formats.Select(entry => entry.File))} is empty: it has no rows. Give a JSON list, jsonl or plain text file with at least one.");
    }

    private void Read(string file, DataFormat format, BadRows onBadRow)
    {
        var layout = RowReader.LayoutOf(file, isText: false);
        if (format == DataFormat.Text && layout != RowLayout.Paragraphs && !HoldsTextRows(file, layout))
            layout = RowLayout.Paragraphs;
        DataFormat? shape = format == DataFormat.Auto ? null : format;
        if (layout == RowLayout.Paragraphs)
            shape = format is DataFormat.Auto or DataFormat.Prompt or DataFormat.Text ? format == DataFormat.Prompt ? DataFormat.Prompt : DataFormat.Text : throw new UserErrorException(
                $"{file} is plain text, but format is {format}. Give a JSON list or jsonl file, or set format = text.");
        foreach (var raw in RowReader.Read(file, layout))
        {
            try
            {
                if (raw.Problem is not null)
                    throw new BadRowException(raw.Problem);
                _rows.Add(layout == RowLayout.Paragraphs ? Paragraph(file, raw, shape) : Row(file, raw, ref shape));
            }
            catch (Exception error) when (error is BadRowException or JsonException or InvalidOperationException or DecoderFallbackException)
            {
                Note(new DataProblem(file, raw.Row, MessageOf(error)), onBadRow);
            }
        }

        _formats.Add((file, shape ?? DataFormat.Auto));
    }

    private void Note(DataProblem problem, BadRows onBadRow)
    {
        if (onBadRow == BadRows.Fail)
            throw new UserErrorException($"{problem.File}, row {problem.Row}: {problem.Message}. Mend the row, or set on-bad-row = skip.");
        _problems.Add(problem);
    }

    private static DataRow Row(string file, RawRow raw, ref DataFormat? shape)
    {
        // Checks the encoding of everything, also of fields nobody reads.
        _strict.GetCharCount(raw.Content.Span);
        using var document = JsonDocument.Parse(raw.Content, _json);
        shape ??= RowParser.ShapeOf(document.RootElement);
        return RowParser.Parse(file, raw.Row, document.RootElement, shape.Value);
    }

    private static DataRow Paragraph(string file, RawRow raw, DataFormat? shape)
    {
        var text = _strict.GetString(raw.Content.Span).Replace("\r\n", "\n", StringComparison.Ordinal);
        return shape == DataFormat.Prompt
            ? new DataRow(file, raw.Row, [new(ChatRole.User, text)], null, null, "{}")
            : new DataRow(file, raw.Row, [], text, null, "{}");
    }

    private static bool HoldsTextRows(string file, RowLayout layout)
    {
        try
        {
            using var document = JsonDocument.Parse(RowReader.Read(file, layout).FirstOrDefault().Content, _json);
            return document.RootElement.ValueKind == JsonValueKind.Object && new RowFields(document.RootElement).HasText("text");
        }
        catch (JsonException)
        {
            // Not JSON, then: text that begins with a bracket.
            return false;
        }
    }

    private static string MessageOf(Exception error) => error switch
    {
        JsonException => $"it is not valid JSON ({error.Message.Split(" LineNumber")[0].TrimEnd('.')})",
        DecoderFallbackException or InvalidOperationException => "it is not valid UTF-8 text",
        _ => error.Message,
    };
}
