namespace ColossalChat.Quickstart.Data;

/// <summary>Two answers to one question, the better one named.</summary>
/// <param name="Row">The question.</param>
/// <param name="Chosen">The better answer.</param>
/// <param name="Rejected">The worse answer, never equal to the better one.</param>
/// <param name="Why"><c>curt</c>, <c>rude</c>, <c>wrong</c> (plain), or <c>wrong-but-polite</c>.</param>
public sealed record PreferencePair(QuickstartRow Row, string Chosen, string Rejected, string Why);

/// <summary>
/// Makes preference pairs: right and polite over curt (40 %), rude (20 %), wrong (20 %) and wrong but polite (20 %),
/// the last so that a reward model cannot be content with tone.
/// </summary>
/// <param name="seed">The words and frames.</param>
/// <param name="key">The run's seed.</param>
public sealed class PreferenceGenerator(QuickstartSeed seed, ulong key)
{
    private readonly TaskGenerator _tasks = new(seed, key);

    /// <summary>Training pairs.</summary>
    /// <param name="count">How many, both languages together.</param>
    public IEnumerable<PreferencePair> Train(int count) =>
        _tasks.FillTrain("preferences", count).Select((filled, i) => Pair(filled, new Keyed(key, "quickstart/pair", i)));

    /// <summary>One pair for each held-out row, in the same order.</summary>
    public IEnumerable<PreferencePair> HeldOut() =>
        _tasks.FillHeldOut().Select((filled, i) => Pair(filled, new Keyed(key, "quickstart/pair/held-out", i)));

    private PreferencePair Pair(FilledTask filled, Keyed random)
    {
        var language = seed.Of(filled.Row.Language);
        var polite = random.Pick(filled.Row.Polite);
        var plain = random.Pick(filled.Row.Plain);
        var wrong = random.Pick(filled.Wrong);
        var politeWrong = random.Pick(language.PoliteOpenings) + wrong;
        var rude = random.Pick(language.RudeOpenings) + plain;
        return random.Below(20) switch
        {
            < 8 => new(filled.Row, polite, plain, "curt"),
            < 12 => new(filled.Row, polite, rude, "rude"),
            < 16 => new(filled.Row, polite, wrong, "wrong"),
            _ => new(filled.Row, polite, politeWrong, "wrong-but-polite"),
        };
    }
}
