using System.Text;
using System.Text.RegularExpressions;
using ColossalChat.Contracts;
using Microsoft.ML.Tokenizers;

namespace ColossalChat.Text;

/// <summary>Vocabulary, merges and rules of a byte-level BPE tokenizer, whatever file they came from.</summary>
internal sealed record ByteLevelVocabulary
{
    /// <summary>Ids by token, spelled in the byte alphabet.</summary>
    public required IReadOnlyDictionary<string, int> Ids { get; init; }

    /// <summary>Pairs joined by a space, the strongest first.</summary>
    public required IReadOnlyList<string> Merges { get; init; }

    /// <summary>How text is cut before merging.</summary>
    public required Regex Words { get; init; }

    /// <summary>True when a word that is a token as a whole is taken as it is.</summary>
    public bool WholeWordsFirst { get; init; }

    /// <summary>Tokens added by the vocabulary's own file.</summary>
    public IReadOnlyList<AddedToken> Added { get; init; } = [];

    /// <summary>Whether a sequence begins with BOS where the settings are silent, and with which.</summary>
    public int? BosId { get; init; }
}

/// <summary>Makes a tokenizer of a byte-level BPE vocabulary, as GPT-2 has it.</summary>
internal static partial class ByteLevelParts
{
    /// <summary>GPT-2's rule for cutting text into words; part of the published tokenizer.</summary>
    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    public static partial Regex Gpt2Words { get; }

    /// <summary>Builds the parts.</summary>
    public static TokenizerParts Build(string folder, ByteLevelVocabulary vocabulary, FolderSettings settings)
    {
        var alphabet = ByteAlphabet();
        if (alphabet.Keys.FirstOrDefault(symbol => !vocabulary.Ids.ContainsKey(symbol.ToString())) is var missing and not '\0')
            throw new UserErrorException(
                $"The vocabulary in {folder} has no token for byte 0x{alphabet[missing]:X2} ('{missing}'), so it cannot spell every text. A byte-level vocabulary needs all 256.");
        var added = vocabulary.Added.Concat(settings.Added).ToArray();
        var texts = new string?[1 + vocabulary.Ids.Values.Concat(added.Select(token => token.Id)).Max()];
        foreach (var (text, id) in vocabulary.Ids)
            texts[id] = text;
        foreach (var token in added)
            texts[token.Id] = token.Text;
        int? IdOf(string text) =>
            added.FirstOrDefault(token => token.Text == text)?.Id ?? (vocabulary.Ids.TryGetValue(text, out var id) ? id : null);
        var ownEos = IdOf("<|endoftext|>");
        var tokens = vocabulary.Added.Where(token => token.IsSpecial).ToDictionary(token => token.Text, token => token.Id, StringComparer.Ordinal);
        var own = new SpecialIds(vocabulary.BosId ?? ownEos, ownEos is { } eos ? [eos] : [], tokens);
        var special = SpecialIds.Settle(
            folder, settings, IdOf, id => id >= 0 && id < texts.Length ? texts[id] : null, own, vocabulary.BosId is not null);
        return new TokenizerParts
        {
            Encode = Encoder(folder, vocabulary),
            Bytes = BytesOf(texts, alphabet, [.. special.Tokens.Values]),
            Special = special.Tokens,
            BosId = special.BosId,
            EosIds = special.EosIds,
            AddsLeadingSpace = false,
            Hash = HashOf(vocabulary, special),
        };
    }

    private static Func<string, bool, IReadOnlyList<int>> Encoder(string folder, ByteLevelVocabulary vocabulary)
    {
        BpeTokenizer library;
        var words = new WordCutter(vocabulary.Words);
        try
        {
            library = BpeTokenizer.Create(new BpeOptions(vocabulary.Ids)
            {
                Merges = vocabulary.Merges,
                ByteLevel = true,
                PreTokenizer = words,
            });
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            throw new UserErrorException($"Vocabulary and merges in {folder} do not fit together: {error.Message}", inner: error);
        }

        return vocabulary.WholeWordsFirst
            ? (text, _) => WholeWordsFirst(library, vocabulary, words, text)
            : (text, _) => library.EncodeToIds(text);
    }

    // `ignore_merges` of tokenizer.json: a word of the vocabulary is one id even where the merges would not build it.
    private static List<int> WholeWordsFirst(BpeTokenizer library, ByteLevelVocabulary vocabulary, WordCutter words, string text)
    {
        var symbols = ByteAlphabet().ToDictionary(pair => pair.Value, pair => pair.Key);
        var ids = new List<int>();
        foreach (var (offset, length) in words.PreTokenize(text))
        {
            var part = text.Substring(offset, length);
            var spelled = string.Concat(Encoding.UTF8.GetBytes(part).Select(value => symbols[value]));
            if (vocabulary.Ids.TryGetValue(spelled, out var id))
                ids.Add(id);
            else
                ids.AddRange(library.EncodeToIds(part));
        }

        return ids;
    }

    /// <summary>
    /// GPT-2's spelling of bytes: those that print stand for themselves, the others for the characters from U+0100 on.
    /// </summary>
    private static Dictionary<char, byte> ByteAlphabet()
    {
        var alphabet = new Dictionary<char, byte>(256);
        var next = '\u0100';
        for (var value = 0; value < 256; value++)
        {
            var prints = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            alphabet[prints ? (char)value : next++] = (byte)value;
        }

        return alphabet;
    }

    private static byte[]?[] BytesOf(string?[] texts, Dictionary<char, byte> alphabet, HashSet<int> special)
    {
        var bytes = new byte[]?[texts.Length];
        for (var id = 0; id < texts.Length; id++)
            if (texts[id] is { } text && !special.Contains(id))
                bytes[id] = text.All(alphabet.ContainsKey)
                    ? [.. text.Select(symbol => alphabet[symbol])]
                    : Encoding.UTF8.GetBytes(text);
        return bytes;
    }

    private static string HashOf(ByteLevelVocabulary vocabulary, SpecialIds special)
    {
        using var hash = new VocabularyHash();
        hash.Add("byte-level-bpe").Add(vocabulary.Words.ToString()).Add(vocabulary.WholeWordsFirst ? 1 : 0);
        foreach (var (text, id) in vocabulary.Ids.OrderBy(pair => pair.Value))
            hash.Add(text).Add(id);
        foreach (var merge in vocabulary.Merges)
            hash.Add(merge);
        return hash.AddSpecial(special).Finish();
    }
}
