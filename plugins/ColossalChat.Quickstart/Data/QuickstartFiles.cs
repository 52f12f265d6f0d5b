using System.Text.Encodings.Web;
using System.Text.Json;

namespace ColossalChat.Quickstart.Data;

/// <summary>How many rows the quickstart writes.</summary>
public sealed record QuickstartSizes
{
    /// <summary>Demonstrations for supervised fine-tuning, both languages together; at least 1.</summary>
    public int Demonstrations { get; init; } = 57_600;

    /// <summary>Preference pairs for the reward model; at least 1.</summary>
    public int Preferences { get; init; } = 9_600;

    /// <summary>Prompts for PPO; at least 1.</summary>
    public int Prompts { get; init; } = 6_000;
}

/// <summary>One demonstration: a question and a right answer.</summary>
/// <param name="Row">The question.</param>
/// <param name="Answer">A right answer; polite or plain.</param>
public sealed record Demonstration(QuickstartRow Row, string Answer);

/// <summary>Makes the quickstart's data and writes it as JSON lines, UTF-8, one object a line.</summary>
/// <param name="seed">The words and frames.</param>
/// <param name="key">The run's seed.</param>
public sealed class QuickstartFiles(QuickstartSeed seed, ulong key)
{
    /// <summary>The share of demonstrations that are polite: web-like text is right more often than it is kind.</summary>
    public const double PoliteShare = 0.5;

    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Demonstrations: always right, polite with probability <see cref="PoliteShare"/>.</summary>
    public IEnumerable<Demonstration> Demonstrations(int count) =>
        new TaskGenerator(seed, key).Train("sft", count).Select((row, i) =>
        {
            var random = new Keyed(key, "quickstart/tone", i);
            return new Demonstration(row, random.Pick(random.Chance(PoliteShare) ? row.Polite : row.Plain));
        });

    /// <summary>
    /// Writes <c>sft.jsonl</c>, <c>preferences.jsonl</c>, <c>prompts.jsonl</c>, <c>held-out.jsonl</c> and
    /// <c>held-out-preferences.jsonl</c>.
    /// </summary>
    /// <param name="folder">An existing folder; files of these names are replaced.</param>
    /// <param name="sizes">How many training rows.</param>
    public void Write(string folder, QuickstartSizes sizes)
    {
        ArgumentNullException.ThrowIfNull(sizes);
        var tasks = new TaskGenerator(seed, key);
        var preferences = new PreferenceGenerator(seed, key);
        WriteLines(folder, "sft.jsonl", Demonstrations(sizes.Demonstrations), WriteDemonstration);
        WriteLines(folder, "preferences.jsonl", preferences.Train(sizes.Preferences), WritePair);
        WriteLines(folder, "prompts.jsonl", tasks.Train("prompts", sizes.Prompts), WritePrompt);
        WriteLines(folder, "held-out.jsonl", tasks.HeldOut(), WriteHeldOut);
        WriteLines(folder, "held-out-preferences.jsonl", preferences.HeldOut(), WritePair);
    }

    /// <summary>Reads rows back from <c>held-out.jsonl</c>.</summary>
    /// <param name="path">The file.</param>
    public static IReadOnlyList<QuickstartRow> ReadHeldOut(string path) => [.. File.ReadLines(path).Select(ReadRow)];

    private static QuickstartRow ReadRow(string line, int index)
    {
        using var document = JsonDocument.Parse(line);
        var at = document.RootElement;
        string Text(string key) => at.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()!
            : throw new InvalidDataException($"Row {index + 1} has no text '{key}'; the quickstart writes language, task, prompt, plain, polite and operands.");
        string[] Texts(string key) => at.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Array
            ? [.. value.EnumerateArray().Select(v => v.GetString()!)]
            : throw new InvalidDataException($"Row {index + 1} has no list '{key}'; the quickstart writes language, task, prompt, plain, polite and operands.");
        return new QuickstartRow
        {
            Language = Text("language"),
            Task = Text("task"),
            Prompt = Text("prompt"),
            Plain = Texts("plain"),
            Polite = Texts("polite"),
            Operands = Texts("operands"),
        };
    }

    private static void WriteLines<T>(string folder, string name, IEnumerable<T> rows, Action<Utf8JsonWriter, T> write)
    {
        using var stream = File.Create(Path.Combine(folder, name));
        using var json = new Utf8JsonWriter(stream, Readable);
        foreach (var row in rows)
        {
            json.WriteStartObject();
            write(json, row);
            json.WriteEndObject();
            json.Flush();
            json.Reset();
            stream.WriteByte((byte)'\n');
        }
    }

    private static void WriteDemonstration(Utf8JsonWriter json, Demonstration row)
    {
        json.WriteStartArray("messages");
        foreach (var (from, content) in new[] { ("user", row.Row.Prompt), ("assistant", row.Answer) })
        {
            json.WriteStartObject();
            json.WriteString("from", from);
            json.WriteString("content", content);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        WriteOrigin(json, row.Row);
    }

    private static void WritePair(Utf8JsonWriter json, PreferencePair pair)
    {
        json.WriteString("prompt", pair.Row.Prompt);
        json.WriteString("chosen", pair.Chosen);
        json.WriteString("rejected", pair.Rejected);
        json.WriteString("why", pair.Why);
        WriteOrigin(json, pair.Row);
    }

    private static void WritePrompt(Utf8JsonWriter json, QuickstartRow row)
    {
        json.WriteString("prompt", row.Prompt);
        WriteOrigin(json, row);
    }

    private static void WriteHeldOut(Utf8JsonWriter json, QuickstartRow row)
    {
        WritePrompt(json, row);
        WriteList(json, "plain", row.Plain);
        WriteList(json, "polite", row.Polite);
    }

    private static void WriteOrigin(Utf8JsonWriter json, QuickstartRow row)
    {
        json.WriteString("language", row.Language);
        json.WriteString("task", row.Task);
        WriteList(json, "operands", row.Operands);
    }

    private static void WriteList(Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
            json.WriteStringValue(value);
        json.WriteEndArray();
    }
}
