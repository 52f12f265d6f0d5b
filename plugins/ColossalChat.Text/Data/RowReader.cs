using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>How rows follow each other in a file.</summary>
internal enum RowLayout
{
    /// <summary>One JSON object a line.</summary>
    Lines,

    /// <summary>One JSON list.</summary>
    List,

    /// <summary>Text, paragraphs parted by blank lines.</summary>
    Paragraphs,
}

/// <summary>Cuts files into rows. Lines are read as a stream; a JSON list is held in memory while it is cut.</summary>
internal static class RowReader
{
    /// <summary>Tells the layout by the file's first sign, unless it is known to be text.</summary>
    /// <exception cref="UserErrorException">The file does not exist.</exception>
    public static RowLayout LayoutOf(string file, bool isText)
    {
        if (!File.Exists(file))
            throw new UserErrorException($"Data file '{file}' does not exist. Relative paths start from the current folder, {Directory.GetCurrentDirectory()}.", ExitCode.NotFound);
        if (isText)
            return RowLayout.Paragraphs;
        using var stream = File.OpenRead(file);
        Span<byte> head = stackalloc byte[4096];
        head = head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
        head = head[ByteOrderMark.LengthIn(head)..].TrimStart(" \t\r\n"u8);
        if (head.IsEmpty || file.EndsWith(".txt", StringComparison.OrdinalIgnoreCase))
            return RowLayout.Paragraphs;
        if (head[0] == (byte)'[')
            return RowLayout.List;
        var isJson = head[0] == (byte)'{'
            || file.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase)
            || file.EndsWith(".json", StringComparison.OrdinalIgnoreCase);
        return isJson ? RowLayout.Lines : RowLayout.Paragraphs;
    }

    /// <summary>The rows of a file, in order.</summary>
    public static IEnumerable<RawRow> Read(string file, RowLayout layout) => layout switch
    {
        RowLayout.Lines => Lines(file),
        RowLayout.List => Elements(file),
        _ => Paragraphs(file),
    };

    private static IEnumerable<RawRow> Lines(string file)
    {
        using var stream = File.OpenRead(file);
        using var lines = new ByteLines(stream);
        for (var row = 1; lines.Next() is { } line; row++)
            if (!IsBlank(line.Span))
                yield return new RawRow(row, line);
    }

    private static IEnumerable<RawRow> Paragraphs(string file)
    {
        using var stream = File.OpenRead(file);
        using var lines = new ByteLines(stream);
        var paragraph = new MemoryStream();
        var row = 0;
        while (lines.Next() is { } line)
        {
            if (!IsBlank(line.Span))
            {
                if (paragraph.Length > 0)
                    paragraph.WriteByte((byte)'\n');
                paragraph.Write(line.Span);
            }
            else if (paragraph.Length > 0)
            {
                yield return new RawRow(++row, paragraph.ToArray());
                paragraph.SetLength(0);
            }
        }

        if (paragraph.Length > 0)
            yield return new RawRow(++row, paragraph.ToArray());
    }

    private static List<RawRow> Elements(string file)
    {
        if (new FileInfo(file).Length > Array.MaxLength)
            throw new UserErrorException($"{file} is one JSON list of more than 2 GB. Write it as jsonl, one object a line, which is read as a stream.");
        var bytes = File.ReadAllBytes(file).WithoutBom();
        var rows = new List<RawRow>();
        var reader = new Utf8JsonReader(bytes.Span, new JsonReaderOptions { MaxDepth = 128 });
        try
        {
            reader.Read();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                rows.Add(new RawRow(rows.Count + 1, bytes[start..(int)reader.BytesConsumed]));
            }

            // Reading on reports whatever follows the list.
            reader.Read();
        }
        catch (JsonException error)
        {
            rows.Add(new RawRow(rows.Count + 1, default, $"it is not valid JSON: the list is broken at line {error.LineNumber + 1}, byte {error.BytePositionInLine}; rows from here on are lost ({error.Message.Split(" LineNumber")[0].TrimEnd('.')})"));
        }

        return rows;
    }

    private static bool IsBlank(ReadOnlySpan<byte> line) => line.IndexOfAnyExcept(" \t\r\n"u8) < 0;
}
