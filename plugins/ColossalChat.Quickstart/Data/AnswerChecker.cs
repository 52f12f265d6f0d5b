namespace ColossalChat.Quickstart.Data;

/// <summary>What the checker found in one answer.</summary>
/// <param name="Score">0 to 1; see <see cref="AnswerChecker"/>.</param>
/// <param name="IsRight">The answer says exactly what a right answer says, whatever the tone.</param>
/// <param name="IsPolite">The answer begins with a polite opening or is one of the task's polite sentences, and is not rude.</param>
/// <param name="IsRude">The answer begins with a rude opening.</param>
public readonly record struct CheckResult(double Score, bool IsRight, bool IsPolite, bool IsRude);

/// <summary>
/// Judges an answer by rule: 1.0 right and polite, 0.7 right and plain, 0.4 right and rude, 0 when wrong, however polite.
/// <para>
/// Right is strict: after at most one polite or rude opening is taken off, the rest must equal one of the row's right answers,
/// letter case, spacing and closing punctuation aside. Something added, left out, or said twice is wrong, so filling an
/// answer with polite phrases does not help. The checker knows only the quickstart's own frames; it measures these models, not others.
/// It is used for evaluation only, never as a reward.
/// </para>
/// </summary>
/// <param name="seed">Where the openings come from.</param>
public sealed class AnswerChecker(QuickstartSeed seed)
{
    /// <summary>Score of a right and polite answer.</summary>
    public const double RightAndPolite = 1.0;

    /// <summary>Score of a right answer that is neither polite nor rude.</summary>
    public const double RightAndPlain = 0.7;

    /// <summary>Score of a right answer with a rude opening.</summary>
    public const double RightAndRude = 0.4;

    /// <summary>Score of a polite answer that is wrong: manners alone win no comparison.</summary>
    public const double WrongAndPolite = 0.0;

    /// <summary>Judges one answer.</summary>
    /// <param name="row">The question.</param>
    /// <param name="answer">The answer's text, without template or stop token.</param>
    public CheckResult Check(QuickstartRow row, string answer)
    {
        ArgumentNullException.ThrowIfNull(row);
        ArgumentNullException.ThrowIfNull(answer);
        var language = seed.Of(row.Language);
        var said = Normalised(answer);
        if (row.Polite.Any(p => Normalised(p) == said))
            return new CheckResult(RightAndPolite, true, true, false);

        var politeBody = WithoutOpening(said, language.PoliteOpenings);
        var rudeBody = WithoutOpening(said, language.RudeOpenings);
        var body = politeBody ?? rudeBody ?? said;
        var bodies = row.Plain.Concat(row.Polite.Where(p => WithoutOpening(Normalised(p), language.PoliteOpenings) is null));
        var isRight = bodies.Any(p => Normalised(p) == body);
        var isPolite = politeBody is not null;
        var isRude = rudeBody is not null;
        var score = (isRight, isPolite, isRude) switch
        {
            (true, true, _) => RightAndPolite,
            (true, _, true) => RightAndRude,
            (true, _, _) => RightAndPlain,
            (false, true, _) => WrongAndPolite,
            _ => 0.0,
        };
        return new CheckResult(score, isRight, isPolite, isRude);
    }

    private static string? WithoutOpening(string said, IReadOnlyList<string> openings)
    {
        var opening = openings.Select(o => o.Trim().ToLowerInvariant()).FirstOrDefault(o => said.StartsWith(o, StringComparison.Ordinal));
        return opening is null ? null : said[opening.Length..].Trim();
    }

    private static string Normalised(string text) =>
        string.Join(' ', text.ToLowerInvariant().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).TrimEnd('.', '!', '。', '！', ' ');
}
