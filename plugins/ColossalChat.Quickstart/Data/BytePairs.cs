using System.Text;
using System.Text.RegularExpressions;

namespace ColossalChat.Quickstart.Data;

/// <summary>GPT-2's byte alphabet and the building of a merge list.</summary>
internal static partial class BytePairs
{
    /// <summary>GPT-2's rule for cutting text into pieces; merges never cross a cut.</summary>
    public const string Cut = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>The 256 characters that stand for the bytes 0 to 255, by byte.</summary>
    public static IReadOnlyList<char> Alphabet { get; } = MakeAlphabet();

    /// <summary>Text as the byte alphabet writes it, one string per byte.</summary>
    public static List<string> Symbols(string text) => [.. Encoding.UTF8.GetBytes(text).Select(b => Alphabet[b].ToString())];

    /// <summary>The pieces of a text.</summary>
    public static IEnumerable<string> Pieces(string text) => CutRule().Matches(text).Select(m => m.Value);

    /// <summary>Applies one merge to a word in place.</summary>
    public static void Merge(List<string> word, string left, string right)
    {
        for (var i = 0; i + 1 < word.Count; i++)
        {
            if (word[i] != left || word[i + 1] != right)
                continue;
            word[i] = left + right;
            word.RemoveAt(i + 1);
        }
    }

    /// <summary>
    /// Learns merges until every word is one symbol or the most frequent pair is rarer than <paramref name="rarest"/>:
    /// at each step the most frequent pair, the first in ordinal order among equals.
    /// </summary>
    /// <param name="words">Words as symbols (already merged so far) with their counts; changed in place.</param>
    /// <param name="rarest">A pair seen less often than this is not merged.</param>
    public static IEnumerable<(string Left, string Right)> Learn(IReadOnlyList<(List<string> Word, int Count)> words, int rarest)
    {
        while (true)
        {
            var counts = new SortedDictionary<(string, string), int>(Comparer<(string, string)>.Create((x, y) =>
                string.CompareOrdinal(x.Item1, y.Item1) is var first and not 0 ? first : string.CompareOrdinal(x.Item2, y.Item2)));
            foreach (var (word, count) in words)
            {
                for (var i = 0; i + 1 < word.Count; i++)
                    counts[(word[i], word[i + 1])] = counts.GetValueOrDefault((word[i], word[i + 1])) + count;
            }

            if (counts.Count == 0 || counts.Values.Max() is var most && most < rarest)
                yield break;
            var (left, right) = counts.First(c => c.Value == counts.Values.Max()).Key;
            foreach (var (word, _) in words)
                Merge(word, left, right);
            yield return (left, right);
        }
    }

    private static char[] MakeAlphabet()
    {
        // Printable Latin-1 bytes stand for themselves, the others for characters from 256 on, in order.
        var alphabet = new char[256];
        var next = 256;
        for (var b = 0; b < 256; b++)
            alphabet[b] = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? (char)b : (char)next++;
        return alphabet;
    }

    [GeneratedRegex(Cut)]
    private static partial Regex CutRule();
}
