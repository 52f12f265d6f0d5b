using System.Text;
using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Ptx;

/// <summary>Reads plain text and cuts it into rows of tokens.</summary>
internal static class PlainText
{
    private static readonly UTF8Encoding _strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    // Which of two equal keys counts differs between readers, so a row that has them is not read at all.
    private static readonly JsonDocumentOptions _json = new() { AllowDuplicateProperties = false, MaxDepth = 128 };

    /// <summary>Paragraphs of text files and the texts of jsonl rows, in order.</summary>
    /// <param name="files">Files ending in <c>.txt</c> or <c>.jsonl</c>.</param>
    /// <param name="onBadRow">What happens to a malformed row.</param>
    /// <returns>The texts, and what was left out.</returns>
    /// <exception cref="UserErrorException">
    /// A file is absent, empty or of another kind, or has a malformed row and those are fatal; the message names file and row.
    /// </exception>
    public static (IReadOnlyList<string> Texts, IReadOnlyList<DataProblem> Problems) Read(IReadOnlyList<string> files, BadRows onBadRow)
    {
        var texts = new List<string>();
        var problems = new List<DataProblem>();
        foreach (var file in files)
        {
            if (!File.Exists(file))
                throw new UserErrorException($"files: '{file}' does not exist in '{Directory.GetCurrentDirectory()}'.", ExitCode.NotFound);
            var isJson = Path.GetExtension(file).ToLowerInvariant() switch
            {
                ".txt" => false,
                ".jsonl" => true,
                _ => throw new UserErrorException($"files: '{file}' is no .txt or .jsonl; give instruction files as data {{ files = [...] }} instead."),
            };
            var (before, bad) = (texts.Count, problems.Count);
            foreach (var (row, content) in isJson ? Lines(file) : Paragraphs(file))
            {
                var problem = Add(texts, content, isJson);
                if (problem is null)
                    continue;
                if (onBadRow == BadRows.Fail)
                    throw new UserErrorException($"files: '{file}' row {row} {problem}. Mend the row, or set on-bad-row = skip.", ExitCode.Invalid);
                problems.Add(new DataProblem(file, row, problem));
            }

            if (texts.Count == before)
                throw new UserErrorException($"files: '{file}' holds no text{(problems.Count > bad ? $"; its row {problems[bad].Row} {problems[bad].Message}" : "")}.");
        }

        return (texts, problems);
    }

    /// <summary>
    /// Rows of at most <paramref name="maxTokens"/> tokens. A longer text goes on in the next row, which begins with the
    /// last token of the one before, so that every token but the first is predicted exactly once.
    /// </summary>
    public static IReadOnlyList<int[]> Cut(IReadOnlyList<string> texts, ITokenizer tokenizer, int maxTokens)
    {
        var rows = new List<int[]>();
        foreach (var text in texts)
        {
            var ids = tokenizer.EncodeDocument(text).ToArray();
            for (var start = 0; start < ids.Length - 1; start += maxTokens - 1)
                rows.Add(ids[start..Math.Min(ids.Length, start + maxTokens)]);
        }

        return rows.Count > 0 ? rows : throw new UserErrorException("files: no text has two tokens, so there is nothing to predict.");
    }

    // Null when all is well, else what is wrong with the row.
    private static string? Add(List<string> texts, byte[] content, bool isJson)
    {
        try
        {
            // Decoded whole even where JSON follows, so that no field hides broken bytes.
            var text = _strict.GetString(content);
            if (isJson)
            {
                using var row = JsonDocument.Parse(text, _json);
                if (row.RootElement.ValueKind != JsonValueKind.Object || !row.RootElement.TryGetProperty("text", out var value) || value.ValueKind != JsonValueKind.String)
                    return "has no \"text\"; give instruction files as data { files = [...] } instead";
                text = value.GetString()!;
            }

            texts.Add(text);
            return null;
        }
        catch (JsonException error)
        {
            return $"is no JSON ({error.Message.TrimEnd('.')})";
        }
        catch (Exception error) when (error is DecoderFallbackException or InvalidOperationException)
        {
            return "is no valid UTF-8 text";
        }
    }

    private static IEnumerable<(int Row, byte[] Content)> Lines(string file) =>
        LinesOf(file).Select((line, i) => (Row: i + 1, Content: line)).Where(line => line.Content.AsSpan().IndexOfAnyExcept(" \t\r"u8) >= 0);

    private static IEnumerable<(int Row, byte[] Content)> Paragraphs(string file)
    {
        var row = 0;
        var paragraph = new List<byte>();
        foreach (var line in LinesOf(file).Append([]))
        {
            if (line.AsSpan().IndexOfAnyExcept(" \t\r"u8) >= 0)
            {
                paragraph.AddRange(paragraph.Count > 0 ? [(byte)'\n', .. line] : line);
                continue;
            }

            var content = paragraph.ToArray().AsSpan().Trim(" \t\r\n"u8).ToArray();
            paragraph.Clear();
            if (content.Length > 0)
                yield return (++row, content);
        }
    }

    private static IEnumerable<byte[]> LinesOf(string file)
    {
        var bytes = File.ReadAllBytes(file);
        var start = bytes.AsSpan().StartsWith("\uFEFF"u8) ? 3 : 0;
        while (start < bytes.Length)
        {
            var length = bytes.AsSpan(start).IndexOf((byte)'\n');
            var end = length < 0 ? bytes.Length : start + length;
            yield return bytes[start..end];
            start = end + 1;
        }
    }
}

/// <summary>What happens to a malformed row of text.</summary>
public enum BadRows
{
    /// <summary>It is left out, counted and reported.</summary>
    Skip,

    /// <summary>It ends the run with file and row number.</summary>
    Fail,
}
