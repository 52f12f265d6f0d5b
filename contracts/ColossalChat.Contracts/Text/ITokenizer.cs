namespace ColossalChat.Contracts;

/// <summary>Text to ids and back. Ids of different tokenizers never mix: each batch carries its tokenizer's hash.</summary>
public interface ITokenizer
{
    /// <summary>Hash of vocabulary, merges and special tokens; equal tokenizers have equal hashes.</summary>
    string Hash { get; }

    /// <summary>Number of ids.</summary>
    int VocabularySize { get; }

    /// <summary>Id put before every sequence, or null.</summary>
    int? BosId { get; }

    /// <summary>Ids that end an answer; the first is written at the end of a training answer. At least one.</summary>
    IReadOnlyList<int> EosIds { get; }

    /// <summary>Special tokens by their text.</summary>
    IReadOnlyDictionary<string, int> SpecialTokens { get; }

    /// <summary>
    /// Ids of plain text, never BOS: chat templates and <see cref="EncodeDocument"/> are the only places that add it.
    /// Special tokens inside the text stay plain characters.
    /// </summary>
    IReadOnlyList<int> Encode(string text);

    /// <summary>
    /// Ids of text that goes on right after other text: unlike <see cref="Encode"/>, no tokenizer puts its own space in
    /// front of it. Equal to <see cref="Encode"/> for tokenizers that never do.
    /// </summary>
    IReadOnlyList<int> EncodeContinuation(string text) => Encode(text);

    /// <summary>BOS (when there is one) and the ids of <paramref name="text"/>.</summary>
    IReadOnlyList<int> EncodeDocument(string text);

    /// <summary>Text of ids. Special tokens are left out unless asked for; incomplete characters become U+FFFD.</summary>
    string Decode(IEnumerable<int> ids, bool withSpecial = false);

    /// <summary>A new stream for one answer.</summary>
    ITextStream NewStream();
}

/// <summary>Decodes a growing answer, holding back what is not a whole character yet.</summary>
public interface ITextStream
{
    /// <summary>Text that became complete with this id; may be empty.</summary>
    string Add(int id);

    /// <summary>Whatever is left at the end.</summary>
    string Finish();
}

/// <summary>Finds a tokenizer in a model folder.</summary>
public interface ITokenizerFormat
{
    /// <summary>True when the folder holds files of this kind.</summary>
    bool CanOpen(string folder);

    /// <summary>Reads the tokenizer, its special ids and its chat template.</summary>
    /// <exception cref="UserErrorException">A file is missing or of a kind that is not supported; the message names it.</exception>
    TextModel Open(string folder);
}

/// <summary>What a model folder says about text.</summary>
/// <param name="Tokenizer">The tokenizer.</param>
/// <param name="Template">The chat template that travels with the folder.</param>
public sealed record TextModel(ITokenizer Tokenizer, IChatTemplate Template);
