using System.Globalization;
using System.Text;
using ColossalChat.Contracts;
using Microsoft.ML.Tokenizers;

namespace ColossalChat.Text;

/// <summary>Makes a tokenizer of a SentencePiece vocabulary of the BPE kind.</summary>
internal static class SentencePieceParts
{
    // SentencePiece writes a space as this character.
    private const char SpaceMark = '\u2581';

    /// <summary>Builds the parts.</summary>
    /// <param name="folder">For error messages.</param>
    /// <param name="file">The vocabulary.</param>
    /// <param name="bytes">The same as a file, for the library.</param>
    /// <param name="settings">What the folder's JSON files say.</param>
    /// <param name="more">Tokens added by the vocabulary's own file, such as <c>tokenizer.json</c>.</param>
    /// <param name="addsBos">Whether a sequence begins with BOS where the settings are silent.</param>
    public static TokenizerParts Build(
        string folder,
        SentencePieceFile file,
        byte[] bytes,
        FolderSettings settings,
        IReadOnlyList<AddedToken> more,
        bool addsBos = true)
    {
        if (file.ModelType != 2)
            throw new UserErrorException(
                $"The SentencePiece model in {folder} is of kind {KindOf(file.ModelType)}; only BPE models (as LLaMA's) are supported.");
        var added = more.Concat(settings.Added).ToArray();
        var texts = Texts(file, added);
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var id = texts.Length - 1; id >= 0; id--)
            if (texts[id] is { } text)
                ids[text] = id;
        var own = new SpecialIds(
            file.BosId >= 0 ? file.BosId : null,
            file.EosId >= 0 ? [file.EosId] : [],
            OwnSpecial(file, more));
        var special = SpecialIds.Settle(
            folder, settings, text => ids.TryGetValue(text, out var id) ? id : null, id => id >= 0 && id < texts.Length ? texts[id] : null, own, addsBos);
        return new TokenizerParts
        {
            Encode = Encoder(folder, file, bytes),
            Bytes = BytesOf(file, texts, [.. special.Tokens.Values]),
            Special = special.Tokens,
            BosId = special.BosId,
            EosIds = special.EosIds,
            AddsLeadingSpace = file.AddsLeadingSpace,
            Hash = HashOf(file, special),
        };
    }

    private static Func<string, bool, IReadOnlyList<int>> Encoder(string folder, SentencePieceFile file, byte[] bytes)
    {
        SentencePieceTokenizer library;
        try
        {
            using var stream = new MemoryStream(bytes);
            library = LlamaTokenizer.Create(stream, addBeginOfSentence: false, addEndOfSentence: false);
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            throw new UserErrorException($"The SentencePiece model in {folder} cannot be read: {error.Message}", inner: error);
        }

        // Normalising means writing spaces as marks and putting one in front. Text that goes on after other text must not
        // get that one, so it is marked here and the library's normaliser left out.
        var merges = new SentencePieceMerges(file);
        return (text, continues) => merges.Encode(
            continues && file.AddsLeadingSpace ? text.Replace(' ', SpaceMark) : library.Normalizer?.Normalize(text) ?? text);
    }

    private static Dictionary<string, int> OwnSpecial(SentencePieceFile file, IReadOnlyList<AddedToken> more)
    {
        var special = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var id = 0; id < file.Pieces.Count; id++)
            if (file.Pieces[id].Type is PieceType.Control or PieceType.Unknown)
                special[file.Pieces[id].Text] = id;
        foreach (var token in more.Where(token => token.IsSpecial))
            special[token.Text] = token.Id;
        return special;
    }

    private static string?[] Texts(SentencePieceFile file, AddedToken[] added)
    {
        var texts = new string?[Math.Max(file.Pieces.Count, added.Length == 0 ? 0 : added.Max(token => token.Id) + 1)];
        for (var id = 0; id < file.Pieces.Count; id++)
            texts[id] = file.Pieces[id].Text;
        foreach (var token in added)
            texts[token.Id] = token.Text;
        return texts;
    }

    private static byte[]?[] BytesOf(SentencePieceFile file, string?[] texts, HashSet<int> special)
    {
        var bytes = new byte[]?[texts.Length];
        for (var id = 0; id < texts.Length; id++)
        {
            if (texts[id] is not { } text || special.Contains(id))
                continue;
            var type = id < file.Pieces.Count ? file.Pieces[id].Type : PieceType.UserDefined;
            if (type == PieceType.Byte)
                bytes[id] = [byte.Parse(text.AsSpan(3, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture)];
            else if (type is PieceType.Normal or PieceType.UserDefined)
                bytes[id] = Encoding.UTF8.GetBytes(text.Replace(SpaceMark, ' '));
        }

        return bytes;
    }

    private static string HashOf(SentencePieceFile file, SpecialIds special)
    {
        using var hash = new VocabularyHash();
        hash.Add("sentencepiece-bpe").Add(file.AddsLeadingSpace ? 1 : 0);
        foreach (var piece in file.Pieces)
            hash.Add(piece.Text).Add(piece.Score).Add((int)piece.Type);
        return hash.AddSpecial(special).Finish();
    }

    private static string KindOf(int modelType) => modelType switch
    {
        1 => "unigram",
        3 => "word",
        4 => "char",
        _ => modelType.ToString(CultureInfo.InvariantCulture),
    };
}
