using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>A token that a folder adds to or marks in its vocabulary.</summary>
/// <param name="Text">Its text.</param>
/// <param name="Id">Its id.</param>
/// <param name="IsSpecial">True when it never stands for plain text.</param>
internal sealed record AddedToken(string Text, int Id, bool IsSpecial);

/// <summary>
/// What the small JSON files of a model folder say about text. Each file may be missing; a broken one is an error.
/// </summary>
internal sealed class FolderSettings
{
    private readonly string _folder;
    private readonly JsonElement? _config;
    private readonly JsonElement? _generation;
    private readonly JsonElement? _tokenizer;
    private readonly JsonElement? _specialMap;

    private FolderSettings(string folder)
    {
        _folder = folder;
        _config = Read(folder, "config.json");
        _generation = Read(folder, "generation_config.json");
        _tokenizer = Read(folder, "tokenizer_config.json");
        _specialMap = Read(folder, "special_tokens_map.json");
        Added = [.. AddedTokens()];
    }

    /// <summary>Tokens of <c>added_tokens.json</c> and <c>added_tokens_decoder</c>.</summary>
    public IReadOnlyList<AddedToken> Added { get; }

    /// <summary><c>add_bos_token</c> of <c>tokenizer_config.json</c>; null where it is silent.</summary>
    public bool? AddsBos =>
        Property(_tokenizer, "add_bos_token") is { ValueKind: JsonValueKind.True or JsonValueKind.False } value
            ? value.GetBoolean()
            : null;

    /// <summary><c>bos_token_id</c> of the configurations, or null.</summary>
    public int? BosId => Ids("bos_token_id").Select(id => (int?)id).FirstOrDefault();

    /// <summary><c>eos_token_id</c> of the configurations: a number or a list in each; the generation one leads.</summary>
    public IReadOnlyList<int> EosIds => [.. Ids("eos_token_id").Distinct()];

    /// <summary>Text of a named special token such as <c>eos_token</c>, or null.</summary>
    public string? SpecialText(string name) => TokenText(Property(_tokenizer, name)) ?? TokenText(Property(_specialMap, name));

    /// <summary>Texts of all named special tokens (<c>bos_token</c>, <c>pad_token</c>, <c>additional_special_tokens</c>, ...).</summary>
    public IEnumerable<string> SpecialTexts()
    {
        foreach (var file in new[] { _tokenizer, _specialMap })
        {
            if (file is not { ValueKind: JsonValueKind.Object } section)
                continue;
            foreach (var property in section.EnumerateObject())
            {
                if (property.Name.EndsWith("_token", StringComparison.Ordinal) && TokenText(property.Value) is { } text)
                    yield return text;
                if (property.Name != "additional_special_tokens" || property.Value.ValueKind != JsonValueKind.Array)
                    continue;
                foreach (var item in property.Value.EnumerateArray())
                    if (TokenText(item) is { } more)
                        yield return more;
            }
        }
    }

    /// <summary>The Jinja chat template's text, or null.</summary>
    public string? JinjaTemplate()
    {
        var file = Path.Combine(_folder, "chat_template.jinja");
        if (File.Exists(file))
            return File.ReadAllText(file);
        var value = Property(_tokenizer, "chat_template");
        if (value is { ValueKind: JsonValueKind.Array } list)
            value = list.EnumerateArray().Select(item => Property(item, "template")).FirstOrDefault();
        return value is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;
    }

    /// <summary><c>chat_template</c> of <c>colossalchat.json</c>, or null.</summary>
    public string? TemplateName()
    {
        var value = Property(Read(_folder, "colossalchat.json"), "chat_template");
        return value switch
        {
            null => null,
            { ValueKind: JsonValueKind.String } name => name.GetString(),
            _ => throw new UserErrorException(
                $"chat_template in {Path.Combine(_folder, "colossalchat.json")} is {value}; it must be the name of a chat template, such as \"chatml\"."),
        };
    }

    /// <summary>Reads the files of a folder.</summary>
    public static FolderSettings Of(string folder) => new(folder);

    /// <summary>Reads one JSON file of a folder; null when there is none.</summary>
    public static JsonElement? Read(string folder, string name)
    {
        var file = Path.Combine(folder, name);
        if (!File.Exists(file))
            return null;
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(file).WithoutBom());
            return document.RootElement.Clone();
        }
        catch (JsonException error)
        {
            throw new UserErrorException($"{file} is not valid JSON: {error.Message} Mend it or copy the folder again.", inner: error);
        }
    }

    /// <summary>A property of an object; null when either is missing or the value is null.</summary>
    public static JsonElement? Property(JsonElement? element, string name) =>
        element is { ValueKind: JsonValueKind.Object } section
        && section.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null
            ? value
            : null;

    private IEnumerable<int> Ids(string name)
    {
        foreach (var file in new[] { _generation, _config })
        {
            if (Property(file, name) is not { } value)
                continue;
            foreach (var item in value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : new[] { value })
                yield return item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var id)
                    ? id
                    : throw new UserErrorException($"{name} in {_folder} is {value}; it must be a token id or a list of token ids.");
        }
    }

    private IEnumerable<AddedToken> AddedTokens()
    {
        if (Property(_tokenizer, "added_tokens_decoder") is { ValueKind: JsonValueKind.Object } decoder)
            foreach (var entry in decoder.EnumerateObject())
                if (int.TryParse(entry.Name, out var id) && TokenText(entry.Value) is { } text)
                    yield return new AddedToken(text, id, Property(entry.Value, "special") is { ValueKind: JsonValueKind.True });
        if (Read(_folder, "added_tokens.json") is { ValueKind: JsonValueKind.Object } added)
            foreach (var entry in added.EnumerateObject())
                if (entry.Value.ValueKind == JsonValueKind.Number && entry.Value.TryGetInt32(out var id))
                    yield return new AddedToken(entry.Name, id, IsSpecial: true);
    }

    private static string? TokenText(JsonElement? value) => value switch
    {
        { ValueKind: JsonValueKind.String } text => text.GetString(),
        { ValueKind: JsonValueKind.Object } => TokenText(Property(value, "content")),
        _ => null,
    };
}
