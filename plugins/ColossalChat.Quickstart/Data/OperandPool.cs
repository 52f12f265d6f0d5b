namespace ColossalChat.Quickstart.Data;

/// <summary>
/// Draws operands for one language and one split. Training draws from the seed's training lists and from made-up
/// names and words; whatever equals or contains a reserved name or word is drawn again, and <see cref="Allows"/> and
/// <see cref="Allowed"/> keep it out of the answers, right and wrong, as well. Held-out draws from the reserved lists only.
/// </summary>
internal sealed class OperandPool
{
    private const string Consonants = "bcdfghjklmnprstvwz";
    private const string Vowels = "aeiou";
    private const string Letters = "abcdefghijklmnopqrstuvwxyz";

    private readonly LanguageSeed _seed;
    private readonly bool _heldOut;
    private readonly int[] _numbers;
    private readonly string[] _characters;
    private readonly string[] _reserved;

    public OperandPool(QuickstartSeed seed, string language, bool heldOut)
    {
        _seed = seed.Of(language);
        _heldOut = heldOut;
        _numbers = heldOut
            ? [.. seed.HeldOutNumbers]
            : [.. Enumerable.Range(10, 90).Except(seed.HeldOutNumbers)];
        _reserved = [.. _seed.Names.HeldOut, .. _seed.Words.HeldOut, .. _seed.Spelled.HeldOut, .. _seed.Secrets.HeldOut, .. _seed.Harms.HeldOut];
        _characters = [.. _seed.Words.Train.Concat(_seed.Words.HeldOut).SelectMany(w => w).Distinct().Order().Select(c => c.ToString())];
    }

    private bool English => _seed.Language == "en";

    /// <summary>A person's name: two open syllables in English (Mira), three characters in Chinese.</summary>
    public string Name(Keyed random)
    {
        if (_heldOut)
            return random.Pick(_seed.Names.HeldOut);
        return Allowed(() => random.Chance(0.25) ? random.Pick(_seed.Names.Train)
            : English ? Capitalised(Invented(random))
            : string.Concat(Enumerable.Range(0, 2).Select(_ => random.Pick(_seed.Given.ToCharArray()))
                .Prepend(random.Pick(_seed.Surnames.ToCharArray()))));
    }

    /// <summary>A word: two open syllables in English (lime), a phrase in Chinese.</summary>
    /// <param name="random">Where the choice comes from.</param>
    /// <param name="shortest">Least number of characters of a Chinese phrase.</param>
    /// <param name="longest">Largest number of characters of a Chinese phrase.</param>
    public string Word(Keyed random, int shortest, int longest)
    {
        bool Fits(string word) => English || (word.Length >= shortest && word.Length <= longest);
        if (_heldOut)
            return random.Pick(_seed.Words.HeldOut.Where(Fits).ToArray());
        var known = _seed.Words.Train.Where(Fits).ToArray();
        return Allowed(() => known.Length > 0 && random.Chance(0.2) ? random.Pick(known)
            : English ? Invented(random)
            : string.Concat(random.Shuffle(_characters).Take(shortest + random.Below(longest - shortest + 1))));
    }

    /// <summary>An English word or a run of letters to spell, no letter twice when <paramref name="distinct"/>.</summary>
    /// <param name="random">Where the choice comes from.</param>
    /// <param name="shortest">Least number of letters.</param>
    /// <param name="longest">Largest number of letters.</param>
    /// <param name="distinct">No letter may occur twice.</param>
    public string Spelled(Keyed random, int shortest, int longest, bool distinct)
    {
        bool Fits(string word) => word.Length >= shortest && word.Length <= longest
            && word.All(char.IsAsciiLetterLower) && (!distinct || word.Distinct().Count() == word.Length);
        if (_heldOut)
            return random.Pick(_seed.Spelled.HeldOut.Concat(_seed.Words.HeldOut).Where(Fits).ToArray());
        var known = _seed.Spelled.Train.Concat(_seed.Words.Train).Where(Fits).ToArray();
        return Allowed(() => random.Chance(0.1) ? random.Pick(known)
            : string.Concat(random.Shuffle(Letters).Take(shortest + random.Below(longest - shortest + 1))));
    }

    /// <summary>A two-digit number that satisfies <paramref name="fits"/>.</summary>
    public int Number(Keyed random, Func<int, bool> fits) => random.Pick(_numbers.Where(fits).ToArray());

    /// <summary>Two two-digit numbers that together satisfy <paramref name="fits"/>.</summary>
    public (int A, int B) Numbers(Keyed random, Func<int, int, bool> fits)
    {
        while (true)
        {
            var (a, b) = (random.Pick(_numbers), random.Pick(_numbers));
            if (fits(a, b))
                return (a, b);
        }
    }

    /// <summary>A thing that must not be given away.</summary>
    public string Secret(Keyed random) => random.Pick(Listed(_seed.Secrets));

    /// <summary>A deed that must not be helped with.</summary>
    public string Harm(Keyed random) => random.Pick(Listed(_seed.Harms));

    /// <summary>True when this split's rows may contain the word, asked or answered.</summary>
    public bool Allows(string word) => _heldOut || !_reserved.Any(r => word.Contains(r, StringComparison.OrdinalIgnoreCase));

    /// <summary>Draws until this split may contain what is drawn.</summary>
    public string Allowed(Func<string> draw)
    {
        while (true)
        {
            var word = draw();
            if (Allows(word))
                return word;
        }
    }

    private IReadOnlyList<string> Listed(WordSplit split) => _heldOut ? split.HeldOut : split.Train;

    // Two open syllables, as Mira or lime: one token each, so every name and word is two tokens long.
    private static string Invented(Keyed random) => string.Concat(Enumerable.Range(0, 2).Select(_ =>
        $"{random.Pick(Consonants.ToCharArray())}{random.Pick(Vowels.ToCharArray())}"));

    private static string Capitalised(string word) => char.ToUpperInvariant(word[0]) + word[1..];
}
