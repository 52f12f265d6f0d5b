using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ColossalChat.Models.Verbs;

/// <summary>Prints one JSON document. Built from nodes, because serialising types of a plugin would keep it from unloading.</summary>
internal static class VerbOutput
{
    private static readonly JsonWriterOptions s_options = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the document and a line end.</summary>
    public static void WriteJson(this TextWriter output, JsonNode document)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, s_options))
            document.WriteTo(writer);
        output.WriteLine(System.Text.Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length));
    }

    /// <summary>An array of numbers.</summary>
    public static JsonArray ToJson(this IEnumerable<int> numbers) => [.. numbers.Select(number => (JsonNode)number)];

    /// <summary>An array of numbers.</summary>
    public static JsonArray ToJson(this IEnumerable<float> numbers) => [.. numbers.Select(number => (JsonNode)number)];
}
