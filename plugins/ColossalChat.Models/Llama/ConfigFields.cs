using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Models.Llama;

/// <summary>Typed access to the fields of config.json; null counts as absent.</summary>
/// <param name="root">The document's object.</param>
internal readonly struct ConfigFields(JsonElement root)
{
    /// <summary>True when the field has a value.</summary>
    public bool Has(string name) => root.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>A positive integer.</summary>
    public int Integer(string name, int? fallback = null)
    {
        if (!Has(name))
            return fallback ?? throw new UserErrorException($"config.json: {name} is missing; it must be a positive integer.");
        var value = root.GetProperty(name);
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number > 0
            ? number
            : throw Wrong(name, value, "a positive integer");
    }

    /// <summary>A number.</summary>
    public double Number(string name, double fallback)
    {
        if (!Has(name))
            return fallback;
        var value = root.GetProperty(name);
        return value.ValueKind == JsonValueKind.Number ? value.GetDouble() : throw Wrong(name, value, "a number");
    }

    /// <summary>True or false.</summary>
    public bool Flag(string name, bool fallback)
    {
        if (!Has(name))
            return fallback;
        var value = root.GetProperty(name);
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Wrong(name, value, "true or false");
    }

    /// <summary>Text.</summary>
    public string Text(string name, string fallback)
    {
        if (!Has(name))
            return fallback;
        var value = root.GetProperty(name);
        return value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong(name, value, "text");
    }

    /// <summary>An object, or null when absent.</summary>
    public JsonElement? Section(string name)
    {
        if (!Has(name))
            return null;
        var value = root.GetProperty(name);
        return value.ValueKind == JsonValueKind.Object ? value : throw Wrong(name, value, "an object");
    }

    private static UserErrorException Wrong(string name, JsonElement value, string wanted) =>
        new($"config.json: {name} is {value.GetRawText()}; it must be {wanted}.");
}
