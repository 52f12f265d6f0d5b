using System.Text.Encodings.Web;
using System.Text.Json;

namespace ColossalChat.Quickstart.Data;

/// <summary>
/// The quickstart's GPT-2-style byte-level BPE tokenizer, built from the seed file alone and always the same.
/// <para>
/// Ids 0 to 2 are the special tokens, then the 256 bytes, then what the merges make, in their order. Merges make one token of: a space with a
/// letter, an open syllable (mi, with or without a space before it), each Chinese character and full-width sign, and the
/// words of the frames. Digits stay single. No name or word is a token: trained or held out, they are spelled from the same
/// pieces, so that a name never seen can be said by copying. Texts get no beginning-of-text token.
/// </para>
/// </summary>
public sealed class QuickstartTokenizer
{
    /// <summary>Text of the padding token; also GPT-2's end of text. Never part of a prompt.</summary>
    public const string EndOfText = "<|endoftext|>";

    /// <summary>Text of the token that opens a turn.</summary>
    public const string TurnStart = "<|im_start|>";

    /// <summary>Text of the token that closes a turn: the stop token.</summary>
    public const string TurnEnd = "<|im_end|>";

    /// <summary>The id of <see cref="EndOfText"/>.</summary>
    public const int EndOfTextId = 0;

    /// <summary>The id of <see cref="TurnStart"/>.</summary>
    public const int TurnStartId = 1;

    /// <summary>The id of <see cref="TurnEnd"/>.</summary>
    public const int TurnEndId = 2;

    // Matrix products with an odd vocabulary size are several times slower: unused entries round it up.
    private const int SizeMultiple = 64;

    private static readonly JsonWriterOptions Readable = new() { Indented = false, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private QuickstartTokenizer(IReadOnlyList<(string Left, string Right)> merges)
    {
        Merges = merges;
        string[] used = [EndOfText, TurnStart, TurnEnd, .. BytePairs.Alphabet.Select(c => c.ToString()), .. merges.Select(m => m.Left + m.Right).Distinct()];
        var padding = (SizeMultiple - (used.Length % SizeMultiple)) % SizeMultiple;
        Vocabulary = [.. used, .. Enumerable.Range(0, padding).Select(i => $"<|unused_{i}|>")];
    }

    /// <summary>Pairs of symbols in the order in which they are applied.</summary>
    public IReadOnlyList<(string Left, string Right)> Merges { get; }

    /// <summary>Every token in GPT-2's byte alphabet; a token's place is its id.</summary>
    public IReadOnlyList<string> Vocabulary { get; }

    /// <summary>The regular expression that cuts text before merging (GPT-2's).</summary>
    public static string PreTokenizerPattern => BytePairs.Cut;

    /// <summary>Builds the tokenizer.</summary>
    public static QuickstartTokenizer Build(QuickstartSeed seed)
    {
        ArgumentNullException.ThrowIfNull(seed);
        var merges = new List<(string Left, string Right)>();
        var made = new HashSet<(string, string)>();
        void Add(string left, string right)
        {
            if (made.Add((left, right)))
                merges.Add((left, right));
        }

        var space = BytePairs.Symbols(" ")[0];
        foreach (var letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
            Add(space, letter.ToString());
        foreach (var vowel in "aeiouy")
        {
            foreach (var consonant in "bcdfghjklmnpqrstvwxz")
            {
                Add(consonant.ToString(), vowel.ToString());
                Add(space + consonant, vowel.ToString());
                Add(space + char.ToUpperInvariant(consonant), vowel.ToString());
            }
        }

        foreach (var wide in AllText(seed).SelectMany(t => t).Where(c => c > 0x7F).Distinct().Order())
        {
            var bytes = BytePairs.Symbols(wide.ToString());
            for (var i = 1; i < bytes.Count; i++)
                Add(string.Concat(bytes.Take(i)), bytes[i]);
        }

        var words = FrameWords(seed);
        foreach (var (word, _) in words)
        {
            foreach (var (left, right) in merges)
                BytePairs.Merge(word, left, right);
        }

        foreach (var (left, right) in BytePairs.Learn(words, rarest: 1))
            Add(left, right);
        return new QuickstartTokenizer(merges);
    }

    /// <summary>Writes <c>vocab.json</c> and <c>merges.txt</c>, as GPT-2's tokenizer files are.</summary>
    /// <param name="folder">An existing folder; files of these names are replaced.</param>
    public void Write(string folder)
    {
        using (var stream = File.Create(Path.Combine(folder, "vocab.json")))
        using (var json = new Utf8JsonWriter(stream, Readable))
        {
            json.WriteStartObject();
            for (var id = 0; id < Vocabulary.Count; id++)
                json.WriteNumber(Vocabulary[id], id);
            json.WriteEndObject();
        }

        File.WriteAllText(Path.Combine(folder, "merges.txt"),
            "#version: 0.2\n" + string.Concat(Merges.Select(m => $"{m.Left} {m.Right}\n")));
    }

    // The words of the frames, openings and fixed vocabulary; what fills the slots of names and words is left out.
    private static List<(List<string> Word, int Count)> FrameWords(QuickstartSeed seed)
    {
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach (var piece in FrameTexts(seed).SelectMany(BytePairs.Pieces))
            counts[piece] = counts.GetValueOrDefault(piece) + 1;
        return [.. counts.Where(c => !c.Key.Any(char.IsDigit)).Select(c => (BytePairs.Symbols(c.Key), c.Value))];
    }

    private static IEnumerable<string> FrameTexts(QuickstartSeed seed)
    {
        foreach (var text in new[] { "user", "assistant", "system" })
            yield return text;
        foreach (var language in seed.Languages)
        {
            var frames = language.Tasks.SelectMany(t => t.Prompts.Concat(t.Plain).Concat(t.Polite).Concat(t.Wrong));
            foreach (var text in frames.SelectMany(OutsideSlots).Concat(language.PoliteOpenings).Concat(language.RudeOpenings))
                yield return text;
            if (language.Language == "zh")
                continue;
            foreach (var text in language.Tasks.SelectMany(t => t.Plain).SelectMany(f => OutsideSlots(f).Take(1)))
                yield return " " + text;
            foreach (var word in language.Digits.Concat(language.Tens))
            {
                yield return word;
                yield return " " + word;
            }

            foreach (var (word, opposite) in language.Opposites)
                yield return $" {word} {opposite}";
            foreach (var colour in language.Colours)
                yield return " " + colour.Key;
        }
    }

    private static IEnumerable<string> OutsideSlots(string frame) =>
        frame.Split('{').Select((part, i) => i == 0 ? part : part[(part.IndexOf('}', StringComparison.Ordinal) + 1)..]);

    private static IEnumerable<string> AllText(QuickstartSeed seed)
    {
        foreach (var at in seed.Languages)
        {
            foreach (var split in new[] { at.Names, at.Words, at.Secrets, at.Harms })
            {
                foreach (var word in split.Train.Concat(split.HeldOut))
                    yield return word;
            }

            foreach (var text in at.PoliteOpenings.Concat(at.RudeOpenings).Concat(at.Digits).Concat(at.Tens).Append(at.Surnames).Append(at.Given))
                yield return text;
            foreach (var (word, other) in at.Colours.Concat(at.Opposites))
                yield return word + other;
            foreach (var text in at.Tasks.SelectMany(t => t.Prompts.Concat(t.Plain).Concat(t.Polite).Concat(t.Wrong)))
                yield return text;
        }
    }
}
