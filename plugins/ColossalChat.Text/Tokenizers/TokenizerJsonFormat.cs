using System.Text.Json;
using System.Text.RegularExpressions;
using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>
/// Hugging Face's <c>tokenizer.json</c> of the BPE kinds: byte-level (GPT-2, LLaMA-3, Qwen) and SentencePiece-like with
/// byte fallback (LLaMA-2, Mistral, TinyLlama). Other kinds are refused by name.
/// </summary>
internal sealed class TokenizerJsonFormat(TemplateFinder templates) : ITokenizerFormat
{
    private const string FileName = "tokenizer.json";

    /// <inheritdoc/>
    public bool CanOpen(string folder) => File.Exists(Path.Combine(folder, FileName)) && !SentencePieceFormat.Holds(folder);

    /// <inheritdoc/>
    public TextModel Open(string folder)
    {
        var file = Path.Combine(folder, FileName);
        var root = FolderSettings.Read(folder, FileName);
        var model = FolderSettings.Property(root, "model");
        if (TextOf(model, "type") is var kind and not (null or "BPE"))
            throw Refuse(file, $"its model is of type {kind}");
        var settings = FolderSettings.Of(folder);
        var added = AddedTokens(root);
        var parts = IsTrue(model, "byte_fallback")
            ? SentencePieceLike(folder, file, root, model, settings, added)
            : ByteLevelParts.Build(folder, ByteLevel(file, root, model, added), settings);
        return templates.With(folder, settings, new ModelTokenizer(parts));
    }

    private static ByteLevelVocabulary ByteLevel(string file, JsonElement? root, JsonElement? model, AddedToken[] added)
    {
        var steps = Steps(FolderSettings.Property(root, "pre_tokenizer"), "pretokenizers");
        if (steps.Count == 0 || TextOf(steps[^1], "type") != "ByteLevel")
            throw Refuse(file, $"its pre-tokenizer is {Kinds(steps)}, not byte-level");
        if (IsTrue(steps[^1], "add_prefix_space"))
            throw Refuse(file, "its pre-tokenizer adds a space in front of every text");
        var normalizers = Steps(FolderSettings.Property(root, "normalizer"), "normalizers");
        // Without culture data .NET takes all text as normalised already, which nearly all text is.
        if (normalizers.Any(step => TextOf(step, "type") != "NFC"))
            throw Refuse(file, $"its normalizer is {Kinds(normalizers)}");
        var words = steps.Count switch
        {
            1 when FolderSettings.Property(steps[0], "use_regex") is not { ValueKind: JsonValueKind.False } => ByteLevelParts.Gpt2Words,
            2 when TextOf(steps[0], "type") == "Split" => SplitRule(file, steps[0]),
            _ => throw Refuse(file, $"its pre-tokenizer is {Kinds(steps)}"),
        };
        return new ByteLevelVocabulary
        {
            Ids = ByteLevelBpeFormat.IdsOf(file, FolderSettings.Property(model, "vocab") ?? default),
            Merges = Merges(file, model),
            Words = words,
            WholeWordsFirst = IsTrue(model, "ignore_merges"),
            Added = added,
            BosId = TemplateBos(root, added),
        };
    }

    private static TokenizerParts SentencePieceLike(
        string folder, string file, JsonElement? root, JsonElement? model, FolderSettings settings, AddedToken[] added)
    {
        var normalizers = Steps(FolderSettings.Property(root, "normalizer"), "normalizers");
        var before = FolderSettings.Property(root, "pre_tokenizer");
        var prepends = TextOf(before, "type") == "Metaspace"
            ? TextOf(before, "prepend_scheme") is null or "always" or "first"
            : normalizers.Any(step => TextOf(step, "type") == "Prepend");
        if (normalizers.Any(step => TextOf(step, "type") is not ("Prepend" or "Replace")))
            throw Refuse(file, $"its normalizer is {Kinds(normalizers)}");
        var ids = ByteLevelBpeFormat.IdsOf(file, FolderSettings.Property(model, "vocab") ?? default);
        var special = added.Where(token => token.IsSpecial).Select(token => token.Id).ToHashSet();
        var unknown = ids.GetValueOrDefault(TextOf(model, "unk_token") ?? "<unk>", 0);
        var pieces = new SentencePiece[ids.Values.Max() + 1];
        for (var id = 0; id < pieces.Length; id++)
            pieces[id] = new SentencePiece($"<unused {id}>", 0, PieceType.Unused);
        var ranks = Ranks(Merges(file, model));
        foreach (var (text, id) in ids)
            pieces[id] = new SentencePiece(text, ranks.TryGetValue(text, out var rank) ? -rank : -1e9f, TypeOf(text, id, unknown, special));
        var vocabulary = new SentencePieceFile
        {
            Pieces = pieces,
            ModelType = 2,
            UnknownId = unknown,
            BosId = TemplateBos(root, added) ?? ids.GetValueOrDefault("<s>", -1),
            EosId = ids.GetValueOrDefault("</s>", -1),
            AddsLeadingSpace = prepends,
        };
        return SentencePieceParts.Build(folder, vocabulary, vocabulary.ToBytes(), settings, added, TemplateBos(root, added) is not null);
    }

    private static PieceType TypeOf(string text, int id, int unknown, HashSet<int> special)
    {
        if (id == unknown)
            return PieceType.Unknown;
        if (special.Contains(id))
            return PieceType.Control;
        return text.Length == 6 && text.StartsWith("<0x", StringComparison.Ordinal) && text[5] == '>' ? PieceType.Byte : PieceType.Normal;
    }

    // SentencePiece merges the best-scored piece first, Hugging Face the earliest merge: the rank of the first merge that
    // builds a piece is its (negative) score.
    private static Dictionary<string, int> Ranks(List<string> merges)
    {
        var ranks = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var rank = 0; rank < merges.Count; rank++)
            ranks.TryAdd(merges[rank].Replace(" ", "", StringComparison.Ordinal), rank);
        return ranks;
    }

    private static List<string> Merges(string file, JsonElement? model)
    {
        if (FolderSettings.Property(model, "merges") is not { ValueKind: JsonValueKind.Array } list)
            throw Refuse(file, "its model has no list of merges");
        return [.. list.EnumerateArray().Select(merge => merge.ValueKind switch
        {
            JsonValueKind.String => merge.GetString()!,
            JsonValueKind.Array when merge.GetArrayLength() == 2 => $"{merge[0].GetString()} {merge[1].GetString()}",
            _ => throw Refuse(file, $"merge {merge} is neither a text nor a pair"),
        })];
    }

    private static AddedToken[] AddedTokens(JsonElement? root) =>
        FolderSettings.Property(root, "added_tokens") is { ValueKind: JsonValueKind.Array } list
            ? [.. list.EnumerateArray()
                .Where(token => TextOf(token, "content") is not null && FolderSettings.Property(token, "id") is { ValueKind: JsonValueKind.Number })
                .Select(token => new AddedToken(TextOf(token, "content")!, token.GetProperty("id").GetInt32(), IsTrue(token, "special")))]
            : [];

    // The special token that the post-processor puts in front of a single sequence.
    private static int? TemplateBos(JsonElement? root, AddedToken[] added)
    {
        foreach (var step in Steps(FolderSettings.Property(root, "post_processor"), "processors"))
        {
            if (TextOf(step, "type") != "TemplateProcessing" || FolderSettings.Property(step, "single") is not { ValueKind: JsonValueKind.Array } single)
                continue;
            var first = single.EnumerateArray().Select(part => FolderSettings.Property(part, "SpecialToken")).FirstOrDefault();
            return added.FirstOrDefault(token => token.Text == TextOf(first, "id"))?.Id;
        }

        return null;
    }

    private static Regex SplitRule(string file, JsonElement split)
    {
        var pattern = TextOf(FolderSettings.Property(split, "pattern"), "Regex");
        if (pattern is null || TextOf(split, "behavior") is not ("Isolated" or "Removed") || (TextOf(split, "behavior") == "Removed") != IsTrue(split, "invert"))
            throw Refuse(file, $"its pre-tokenizer splits by {split}");
        try
        {
            return new Regex(pattern, RegexOptions.CultureInvariant);
        }
        catch (ArgumentException error)
        {
            throw Refuse(file, $"its word pattern is not understood ({error.Message})");
        }
    }

    // A step, or the steps of a sequence.
    private static List<JsonElement> Steps(JsonElement? step, string listName)
    {
        if (step is not { } one)
            return [];
        return TextOf(one, "type") == "Sequence" && FolderSettings.Property(one, listName) is { ValueKind: JsonValueKind.Array } list
            ? [.. list.EnumerateArray()]
            : [one];
    }

    private static string Kinds(List<JsonElement> steps) =>
        steps.Count == 0 ? "missing" : string.Join(" + ", steps.Select(step => TextOf(step, "type") ?? "?"));

    private static string? TextOf(JsonElement? element, string name) =>
        FolderSettings.Property(element, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    private static bool IsTrue(JsonElement? element, string name) =>
        FolderSettings.Property(element, name) is { ValueKind: JsonValueKind.True };

    private static UserErrorException Refuse(string file, string why) => new(
        $"{file} is not supported: {why}. Supported are BPE tokenizers, byte-level (GPT-2, LLaMA-3, Qwen) or with byte fallback (LLaMA-2, Mistral).");
}
