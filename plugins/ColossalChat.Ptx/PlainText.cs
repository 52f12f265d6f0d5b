using System.Text.Json;
using System.Text.RegularExpressions;
using ColossalChat.Contracts;

namespace ColossalChat.Ptx;

/// <summary>Reads plain text and cuts it into rows of tokens.</summary>
internal static partial class PlainText
{
    /// <summary>Paragraphs of text files and the texts of jsonl rows, in order.</summary>
    /// <exception cref="UserErrorException">A file is absent, empty or of another kind; the message names it and the row.</exception>
    public static IReadOnlyList<string> Read(IReadOnlyList<string> files)
    {
        var texts = new List<string>();
        foreach (var file in files)
        {
            if (!File.Exists(file))
                throw new UserErrorException($"files: '{file}' does not exist in '{Directory.GetCurrentDirectory()}'.", ExitCode.NotFound);
            var before = texts.Count;
            switch (Path.GetExtension(file).ToLowerInvariant())
            {
                case ".txt":
                    texts.AddRange(BlankLine().Split(File.ReadAllText(file)).Select(text => text.Trim()).Where(text => text.Length > 0));
                    break;
                case ".jsonl":
                    texts.AddRange(ReadRows(file));
                    break;
                default:
                    throw new UserErrorException($"files: '{file}' is no .txt or .jsonl; give instruction files as data {{ files = [...] }} instead.");
            }

            if (texts.Count == before)
                throw new UserErrorException($"files: '{file}' holds no text.");
        }

        return texts;
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

    private static IEnumerable<string> ReadRows(string file)
    {
        var number = 0;
        foreach (var line in File.ReadLines(file))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line))
                continue;
            string? text;
            try
            {
                using var row = JsonDocument.Parse(line);
                text = row.RootElement.ValueKind == JsonValueKind.Object && row.RootElement.TryGetProperty("text", out var value)
                    && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
            }
            catch (JsonException error)
            {
                throw new UserErrorException($"files: '{file}' row {number} is no JSON: {error.Message}", ExitCode.Invalid, error);
            }

            yield return text ?? throw new UserErrorException(
                $"files: '{file}' row {number} has no \"text\"; give instruction files as data {{ files = [...] }} instead.");
        }
    }

    [GeneratedRegex(@"\r?\n[ \t]*\r?\n")]
    private static partial Regex BlankLine();
}
