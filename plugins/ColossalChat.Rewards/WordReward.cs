using System.Text.RegularExpressions;
using ColossalChat.Contracts;

namespace ColossalChat.Rewards;

/// <summary>Settings of the word reward; section <c>roles.reward</c>.</summary>
public sealed record WordRewardOptions : ICheckedOptions
{
    /// <summary>Words that add 1 each time they occur; case does not matter.</summary>
    public IReadOnlyList<string> GoodWords { get; init; } =
    [
        "happy", "love", "loved", "loves", "smile", "smiled", "laugh", "laughed", "fun", "proud", "friend", "friends", "good",
        "nice", "kind", "hug", "hugged",
    ];

    /// <summary>Words that take 1 away each time they occur.</summary>
    public IReadOnlyList<string> BadWords { get; init; } =
    [
        "sad", "cry", "cried", "scared", "angry", "hurt", "bad", "mean", "sorry", "lost", "alone", "broke", "afraid",
    ];

    /// <summary>The difference is divided by this. Above 0; default 3.</summary>
    public double Divisor { get; init; } = 3;

    /// <summary>The score is cut to plus and minus this. Above 0; default 1.</summary>
    public double Clamp { get; init; } = 1;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Divisor is not > 0)
            yield return $"divisor is {Divisor}; it must be above 0.";
        if (Clamp is not > 0)
            yield return $"clamp is {Clamp}; it must be above 0.";
        foreach (var word in GoodWords.Intersect(BadWords, StringComparer.OrdinalIgnoreCase))
            yield return $"good-words and bad-words both hold '{word}'; it can be in one of them only.";
    }
}

/// <summary>Scores an answer by its words. Whole words count: "unkind" holds no "kind".</summary>
public sealed partial class WordReward : IScoringRole
{
    private readonly WordRewardOptions _options;
    private readonly INodeContext _context;
    private readonly Dictionary<string, int> _worth = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Prepares the word lists.</summary>
    public WordReward(WordRewardOptions options, INodeContext context)
    {
        (_options, _context) = (options, context);
        foreach (var word in options.GoodWords)
            _worth[word] = 1;
        foreach (var word in options.BadWords)
            _worth[word] = -1;
    }

    /// <inheritdoc/>
    public ScoreKind Kind => ScoreKind.Rewards;

    /// <inheritdoc/>
    public Scores Score(Rollout rollout, CancellationToken cancel)
    {
        var tokenizer = _context.Tokenizer(rollout.Prompts.TokenizerHash);
        return Scores.Of(Kind, Ragged.Scalars<float>(Enumerable.Range(0, rollout.Rows)
            .Select(row => (float)OfText(tokenizer.Decode(rollout.Tokens[row].ToArray())))
            .ToArray()));
    }

    /// <summary>Score of one text.</summary>
    public double OfText(string answer)
    {
        var sum = Word().Matches(answer).Sum(match => _worth.GetValueOrDefault(match.Value));
        return Math.Clamp(sum / _options.Divisor, -_options.Clamp, _options.Clamp);
    }

    /// <inheritdoc/>
    public void LoadWeights(WeightsPublication publication, CancellationToken cancel)
    {
        // Rules have no weights.
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Nothing is held.
    }

    [GeneratedRegex(@"\p{L}+", RegexOptions.CultureInvariant)]
    private static partial Regex Word();
}
