using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace ColossalChat.Host.Runs;

/// <summary>A file of JSON objects, one a line, that survives a kill: a torn last line is dropped at the next start.</summary>
internal sealed class JsonLines : IDisposable
{
    /// <summary>How all JSON of a run folder is written: text stays readable, NaN and infinities stay visible as strings.</summary>
    public static JsonSerializerOptions Format { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower) },
    };

    private readonly FileStream _file;

    /// <summary>Opens a file for appending; a line that a kill cut short goes first.</summary>
    public JsonLines(string file)
    {
        DropTornLine(file);
        // Unbuffered: a line is written whole at once, and after a full disk nothing is left over to fail again.
        _file = new FileStream(file, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
    }

    /// <summary>Appends one object.</summary>
    public void Append<T>(T value) => _file.Write([.. JsonSerializer.SerializeToUtf8Bytes(value, Format), (byte)'\n']);

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    /// <summary>All readable objects of a file; a torn or foreign line is left out.</summary>
    public static IEnumerable<JsonElement> Read(string file) =>
        File.Exists(file) ? ReadLines(file).Select(Parse).OfType<JsonElement>() : [];

    /// <summary>
    /// Drops the lines after an iteration, so that a resumed run continues the same curves. The new file replaces the old
    /// one in one step.
    /// </summary>
    /// <returns>Number of lines dropped.</returns>
    public static int DropAfter(string file, long lastIteration)
    {
        if (!File.Exists(file))
            return 0;
        var lines = ReadLines(file).ToArray();
        var kept = lines.Where(line => Parse(line) is { } row && row.TryGetProperty("iteration", out var iteration) && iteration.GetInt64() <= lastIteration).ToArray();
        if (kept.Length == lines.Length)
            return 0;
        var draft = file + ".new";
        File.WriteAllText(draft, string.Concat(kept.Select(line => line + "\n")), new UTF8Encoding(false));
        File.Move(draft, file, overwrite: true);
        return lines.Length - kept.Length;
    }

    private static void DropTornLine(string file)
    {
        if (!File.Exists(file))
            return;
        using var stream = new FileStream(file, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        var end = stream.Length;
        while (end > 0)
        {
            stream.Position = end - 1;
            if (stream.ReadByte() == '\n')
                break;
            end--;
        }

        if (end < stream.Length)
            stream.SetLength(end);
    }

    private static IEnumerable<string> ReadLines(string file)
    {
        // The run that writes the file may still be going on.
        using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete), Encoding.UTF8);
        while (reader.ReadLine() is { } line)
            yield return line;
    }

    private static JsonElement? Parse(string line)
    {
        try
        {
            var row = JsonSerializer.Deserialize<JsonElement>(line, Format);
            return row.ValueKind == JsonValueKind.Object ? row : null;
        }
        catch (JsonException)
        {
            return null; // Torn by a kill; every caller counts what is left.
        }
    }
}

/// <summary>A line of metrics.jsonl.</summary>
/// <param name="Iteration">From 1; 0 before training.</param>
/// <param name="Purpose">Training or measuring.</param>
/// <param name="Time">When.</param>
/// <param name="Metrics">Numbers by name.</param>
internal sealed record MetricsLine(long Iteration, string Purpose, DateTimeOffset Time, IReadOnlyDictionary<string, double> Metrics);

/// <summary>A line of events.jsonl.</summary>
internal sealed record EventLine(DateTimeOffset Time, string Kind, string Message);

/// <summary>A line of samples.jsonl.</summary>
internal sealed record SampleLine(long Iteration, string Purpose, string Prompt, string Response, double? Score, double Kl, int Tokens, string FinishReason);
