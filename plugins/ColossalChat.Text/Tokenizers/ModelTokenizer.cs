using ColossalChat.Contracts;

namespace ColossalChat.Text;

/// <summary>What a tokenizer is made of, whatever file it came from.</summary>
internal sealed record TokenizerParts
{
    /// <summary>Ids of plain text; true when the text goes on right after other text.</summary>
    public required Func<string, bool, IReadOnlyList<int>> Encode { get; init; }

    /// <summary>Bytes of each id; null for special and unused ids. [VocabularySize].</summary>
    public required byte[]?[] Bytes { get; init; }

    /// <summary>Special tokens by their text.</summary>
    public required IReadOnlyDictionary<string, int> Special { get; init; }

    /// <summary>Id before every sequence, or null.</summary>
    public required int? BosId { get; init; }

    /// <summary>Ids that end an answer; at least one.</summary>
    public required IReadOnlyList<int> EosIds { get; init; }

    /// <summary>True when encoding puts a space in front of the text, so that decoding takes one away.</summary>
    public required bool AddsLeadingSpace { get; init; }

    /// <summary>SHA-256 over vocabulary, merges and special tokens.</summary>
    public required string Hash { get; init; }
}

/// <summary>
/// The tokenizer of every format. Encoding is the format's; decoding joins the bytes of the ids, so that streams and
/// whole texts cannot differ.
/// </summary>
internal sealed class ModelTokenizer(TokenizerParts parts) : ITokenizer
{
    private readonly Dictionary<int, string> _specialTexts =
        parts.Special.GroupBy(pair => pair.Value).ToDictionary(group => group.Key, group => group.First().Key);

    /// <inheritdoc/>
    public string Hash => parts.Hash;

    /// <inheritdoc/>
    public int VocabularySize => parts.Bytes.Length;

    /// <inheritdoc/>
    public int? BosId => parts.BosId;

    /// <inheritdoc/>
    public IReadOnlyList<int> EosIds => parts.EosIds;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, int> SpecialTokens => parts.Special;

    /// <inheritdoc/>
    public IReadOnlyList<int> Encode(string text) => EncodeWhole(text, continues: false);

    /// <inheritdoc/>
    public IReadOnlyList<int> EncodeContinuation(string text) => EncodeWhole(text, continues: true);

    /// <inheritdoc/>
    public IReadOnlyList<int> EncodeDocument(string text) => BosId is { } bos ? [bos, .. Encode(text)] : Encode(text);

    /// <inheritdoc/>
    public string Decode(IEnumerable<int> ids, bool withSpecial = false)
    {
        var stream = new Utf8TextStream(id => BytesOf(id, withSpecial), parts.AddsLeadingSpace);
        return string.Concat(ids.Select(stream.Add)) + stream.Finish();
    }

    /// <inheritdoc/>
    public ITextStream NewStream() => new Utf8TextStream(id => BytesOf(id, withSpecial: false), parts.AddsLeadingSpace);

    private IReadOnlyList<int> EncodeWhole(string text, bool continues) =>
        text.Length == 0 ? [] : parts.Encode(WithoutLoneSurrogates(text), continues);

    private ReadOnlySpan<byte> BytesOf(int id, bool withSpecial)
    {
        if (id < 0 || id >= parts.Bytes.Length)
            return [];
        if (parts.Bytes[id] is { } bytes)
            return bytes;
        return withSpecial && _specialTexts.TryGetValue(id, out var text) ? System.Text.Encoding.UTF8.GetBytes(text) : [];
    }

    // Half a surrogate pair has no UTF-8 form; libraries differ in what they do with it.
    private static string WithoutLoneSurrogates(string text)
    {
        var lone = false;
        for (var i = 0; i < text.Length && !lone; i++)
        {
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
                i++;
            else
                lone = char.IsSurrogate(text[i]);
        }

        return lone ? System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text)) : text;
    }
}
