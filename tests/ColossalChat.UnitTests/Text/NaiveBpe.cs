using System.Globalization;
using System.Text;
using System.Text.Json;

namespace ColossalChat.UnitTests.Text;

/// <summary>
/// SentencePiece's BPE as its authors describe it and as slowly as it can be written: join the neighbours whose union is
/// the best-scored piece, the leftmost among equals, until none is a piece; spell what is left over in bytes.
/// Shares no code with the tokenizers under test.
/// </summary>
internal sealed class NaiveSentencePiece
{
    private const int Normal = 1;
    private const int Byte = 6;

    private readonly Dictionary<string, (int Id, float Score)> _pieces = new(StringComparer.Ordinal);
    private readonly int[] _byteIds = new int[256];

    /// <summary>Reads <c>tokenizer.model</c>.</summary>
    public NaiveSentencePiece(byte[] model)
    {
        foreach (var ((text, score, type), id) in SentencePieceJson.Pieces(model).Select((piece, id) => (piece, id)))
        {
            if (type == Normal)
                _pieces.Add(text, (id, score));
            else if (type == Byte)
                _byteIds[int.Parse(text.AsSpan(3, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture)] = id;
        }
    }

    /// <summary>Ids of a text without BOS.</summary>
    /// <param name="text">The text.</param>
    /// <param name="continues">True puts no space in front.</param>
    public int[] Encode(string text, bool continues = false)
    {
        if (text.Length == 0)
            return [];
        var symbols = ((continues ? "" : " ") + text).Replace(' ', '\u2581').EnumerateRunes().Select(rune => rune.ToString()).ToList();
        while (true)
        {
            var (best, bestScore) = (-1, float.NegativeInfinity);
            for (var i = 0; i + 1 < symbols.Count; i++)
                if (_pieces.TryGetValue(symbols[i] + symbols[i + 1], out var union) && union.Score > bestScore)
                    (best, bestScore) = (i, union.Score);
            if (best < 0)
                break;
            symbols[best] += symbols[best + 1];
            symbols.RemoveAt(best + 1);
        }

        return [.. symbols.SelectMany(symbol => _pieces.TryGetValue(symbol, out var piece)
            ? [piece.Id]
            : Encoding.UTF8.GetBytes(symbol).Select(value => _byteIds[value]))];
    }
}

/// <summary>
/// GPT-2's byte-level BPE: cut the text into words by GPT-2's rule, written here by hand over whole characters, and join
/// the neighbours of the earliest merge until none is left. Shares no code with the tokenizers under test.
/// </summary>
internal sealed class NaiveByteLevel
{
    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<(string, string), int> _ranks;
    private readonly string[] _letters = new string[256];

    /// <summary>Reads <c>vocab.json</c> and the lines of <c>merges.txt</c>.</summary>
    public NaiveByteLevel(string vocabulary, IEnumerable<string> merges)
    {
        _ids = JsonSerializer.Deserialize<Dictionary<string, int>>(vocabulary)!;
        _ranks = merges.Where(line => line.Length > 0 && !line.StartsWith("#version", StringComparison.Ordinal))
            .Select((line, rank) => (line.Split(' '), rank)).ToDictionary(merge => (merge.Item1[0], merge.Item1[1]), merge => merge.rank);
        for (int value = 0, unprintable = 256; value < 256; value++)
            _letters[value] = (value is > 32 and < 127 or > 160 and not 173 ? (char)value : (char)unprintable++).ToString();
    }

    /// <summary>Ids of a text.</summary>
    public int[] Encode(string text) => [.. Words([.. text.EnumerateRunes()]).SelectMany(Merge)];

    private IEnumerable<int> Merge(string word)
    {
        var symbols = Encoding.UTF8.GetBytes(word).Select(value => _letters[value]).ToList();
        while (true)
        {
            var (best, bestRank) = (-1, int.MaxValue);
            for (var i = 0; i + 1 < symbols.Count; i++)
                if (_ranks.TryGetValue((symbols[i], symbols[i + 1]), out var rank) && rank < bestRank)
                    (best, bestRank) = (i, rank);
            if (best < 0)
                return symbols.Select(symbol => _ids[symbol]);
            symbols[best] += symbols[best + 1];
            symbols.RemoveAt(best + 1);
        }
    }

    // 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
    private static IEnumerable<string> Words(Rune[] text)
    {
        for (int from = 0, to; from < text.Length; from = to)
        {
            to = from + ContractionAt(text, from);
            if (to == from)
                to = RunFrom(text, from);
            yield return string.Concat(text[from..to].Select(rune => rune.ToString()));
        }
    }

    private static int ContractionAt(Rune[] text, int from) => new[] { "'s", "'t", "'re", "'ve", "'m", "'ll", "'d" }
        .FirstOrDefault(ending => from + ending.Length <= text.Length && text[from..(from + ending.Length)].SequenceEqual(ending.EnumerateRunes()))?.Length ?? 0;

    // A run of one kind with a space before it; of white space before something else, the last one is left to that.
    private static int RunFrom(Rune[] text, int from)
    {
        var first = text[from].Value == ' ' && from + 1 < text.Length && KindOf(text[from + 1]) != ' ' ? from + 1 : from;
        var to = first + 1;
        while (to < text.Length && KindOf(text[to]) == KindOf(text[first]))
            to++;
        return KindOf(text[first]) == ' ' && to < text.Length && to - first > 1 ? to - 1 : to;
    }

    private static char KindOf(Rune rune) =>
        Rune.IsWhiteSpace(rune) ? ' ' : Rune.IsLetter(rune) ? 'L' : Rune.IsNumber(rune) ? 'N' : '?';
}
