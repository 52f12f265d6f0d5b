using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>What is wrong with a row, in one sentence without its place; caught where the row is counted.</summary>
internal sealed class BadRowException(string message) : Exception(message);

/// <summary>Reads the fields of one row and remembers which were used; the rest is kept as the row's own fields.</summary>
internal sealed class RowFields(JsonElement row)
{
    // Readable in files and logs; nothing here reaches a web page.
    private static readonly JsonWriterOptions _readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly HashSet<string> _used = new(StringComparer.Ordinal);

    /// <summary>True when a field is there and not null.</summary>
    public bool Has(string name) => row.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>True when a field is there and is a text.</summary>
    public bool HasText(string name) => row.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String;

    /// <summary>The first of several names that is there; null when none is.</summary>
    public string? FirstOf(params string[] names) => Array.Find(names, Has);

    /// <summary>A field's value, marked as used; null when it is missing or null.</summary>
    public JsonElement? Take(string name)
    {
        _used.Add(name);
        return Has(name) ? row.GetProperty(name) : null;
    }

    /// <summary>A text field, marked as used; null when it is missing or null.</summary>
    public string? TakeText(string name) => Take(name) is { } value ? TextOf(value, $"field '{name}'") : null;

    /// <summary>A text field that must say something.</summary>
    public string NeedText(string name)
    {
        var text = TakeText(name) ?? throw new BadRowException($"field '{name}' is missing; fields here: {Names()}");
        return string.IsNullOrWhiteSpace(text) ? throw new BadRowException($"field '{name}' is empty") : text;
    }

    /// <summary>All fields that were not used, as a JSON object.</summary>
    public string Rest()
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, _readable))
        {
            writer.WriteStartObject();
            foreach (var property in row.EnumerateObject().Where(property => !_used.Contains(property.Name)))
                property.WriteTo(writer);
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }

    /// <summary>Names of all fields.</summary>
    public string Names() => string.Join(", ", row.EnumerateObject().Select(property => property.Name));

    /// <summary>A list of turns, each with a role (<c>role</c> or <c>from</c>) and a text (<c>content</c> or <c>value</c>); a single turn may stand alone.</summary>
    public static List<ChatMessage> Turns(JsonElement value, string what)
    {
        if (value.ValueKind == JsonValueKind.Object)
            return [Turn(value, what)];
        if (value.ValueKind != JsonValueKind.Array)
            throw new BadRowException($"{what} is {KindOf(value)}; it must be a list of turns");
        var turns = value.EnumerateArray().Select((turn, i) => Turn(turn, $"turn {i + 1} of {what}")).ToList();
        CheckOrder(turns, what);
        return turns;
    }

    /// <summary>One turn.</summary>
    public static ChatMessage Turn(JsonElement turn, string what)
    {
        if (turn.ValueKind != JsonValueKind.Object)
            throw new BadRowException($"{what} is {KindOf(turn)}; it must be an object with role and content");
        var fields = new RowFields(turn);
        var role = fields.FirstOf("role", "from") ?? throw new BadRowException($"{what} has no role; fields here: {fields.Names()}");
        var content = fields.FirstOf("content", "value") ?? throw new BadRowException($"{what} has no content; fields here: {fields.Names()}");
        var text = TextOf(turn.GetProperty(content), $"{content} of {what}");
        return string.IsNullOrWhiteSpace(text)
            ? throw new BadRowException($"{content} of {what} is empty")
            : new ChatMessage(RoleOf(TextOf(turn.GetProperty(role), $"{role} of {what}"), what), text);
    }

    /// <summary>A JSON text.</summary>
    public static string TextOf(JsonElement value, string what) => value.ValueKind == JsonValueKind.String
        ? value.GetString()!
        : throw new BadRowException($"{what} is {KindOf(value)}; it must be a text");

    /// <summary>A kind of JSON value in words.</summary>
    public static string KindOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a text",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "true or false",
        _ => "null",
    };

    private static ChatRole RoleOf(string name, string what) => name.ToLowerInvariant() switch
    {
        "user" or "human" or "prompter" => ChatRole.User,
        "assistant" or "gpt" or "model" or "bot" or "chatgpt" => ChatRole.Assistant,
        "system" => ChatRole.System,
        _ => throw new BadRowException($"{what} has role '{name}'; known are user (human), assistant (gpt) and system"),
    };

    private static void CheckOrder(List<ChatMessage> turns, string what)
    {
        var first = turns.Count > 0 && turns[0].Role == ChatRole.System ? 1 : 0;
        if (turns.Count == first)
            throw new BadRowException($"{what} has no turns");
        for (var i = first; i < turns.Count; i++)
            if (turns[i].Role != ((i - first) % 2 == 0 ? ChatRole.User : ChatRole.Assistant))
                throw new BadRowException($"turn {i + 1} of {what} is by {turns[i].Role}; user and assistant must take turns, the user first");
    }
}
