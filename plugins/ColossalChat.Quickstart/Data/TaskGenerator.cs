namespace ColossalChat.Quickstart.Data;

/// <summary>A row together with its wrong answers, for preference pairs.</summary>
/// <param name="Row">The question and its right answers.</param>
/// <param name="Wrong">Plain answers that are wrong; at least one.</param>
internal sealed record FilledTask(QuickstartRow Row, IReadOnlyList<string> Wrong);

/// <summary>
/// Makes the quickstart's questions from the seed file, deterministically: row i of a purpose depends only on
/// (seed, purpose, i). Even rows are English, odd rows Chinese.
/// <para>
/// Held-out rows use reserved numbers, names, words, secrets and deeds only, so answering them takes the rule
/// (copy, reverse, add digit by digit, ...) and not memory: none of these is in a training prompt or answer, but for
/// reserved numbers that are the result of others. Chinese characters and letters are the alphabet and occur in both
/// splits, as digits do. Tasks whose answer is pure vocabulary
/// (colours, opposites, small talk) cannot generalise to unseen words: they are trained on for flavour and have no
/// held-out rows.
/// </para>
/// </summary>
public sealed class TaskGenerator
{
    private readonly QuickstartSeed _seed;
    private readonly ulong _key;
    private readonly Dictionary<(string Language, bool HeldOut), TaskFiller> _fillers = [];

    /// <summary>A generator over one seed file.</summary>
    /// <param name="seed">The words and frames.</param>
    /// <param name="key">The run's seed; other seeds give other rows.</param>
    public TaskGenerator(QuickstartSeed seed, ulong key)
    {
        ArgumentNullException.ThrowIfNull(seed);
        _seed = seed;
        _key = key;
        foreach (var language in seed.Languages)
        {
            _fillers[(language.Language, false)] = new TaskFiller(seed, language, heldOut: false);
            _fillers[(language.Language, true)] = new TaskFiller(seed, language, heldOut: true);
        }
    }

    /// <summary>Training rows; tasks are drawn in proportion to their share, prompts may repeat.</summary>
    /// <param name="purpose">What the rows are for (<c>sft</c>, <c>preferences</c>, <c>prompts</c>); another purpose, other rows.</param>
    /// <param name="count">How many rows, both languages together.</param>
    public IEnumerable<QuickstartRow> Train(string purpose, int count) => FillTrain(purpose, count).Select(f => f.Row);

    /// <summary>Held-out rows: as many of each task as the seed file says (200 per language), no prompt twice.</summary>
    public IEnumerable<QuickstartRow> HeldOut() => FillHeldOut().Select(f => f.Row);

    internal IEnumerable<FilledTask> FillTrain(string purpose, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var language = _seed.Languages[i % 2];
            var random = new Keyed(_key, "quickstart/" + purpose, i);
            yield return _fillers[(language.Language, false)].Fill(PickTask(language, random), random);
        }
    }

    internal IEnumerable<FilledTask> FillHeldOut()
    {
        foreach (var language in _seed.Languages)
        {
            var filler = _fillers[(language.Language, true)];
            var seen = new HashSet<string>();
            foreach (var task in language.Tasks)
            {
                var random = new Keyed(_key, $"quickstart/held-out/{language.Language}/{task.Name}", 0);
                for (var made = 0; made < task.HeldOut;)
                {
                    var filled = filler.Fill(task, random);
                    if (!seen.Add(filled.Row.Prompt))
                        continue;
                    made++;
                    yield return filled;
                }
            }
        }
    }

    private static TaskSeed PickTask(LanguageSeed language, Keyed random)
    {
        var at = random.Below(language.Tasks.Sum(t => t.Share));
        return language.Tasks.First(t => (at -= t.Share) < 0);
    }
}
