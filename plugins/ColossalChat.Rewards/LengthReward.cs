using ColossalChat.Contracts;

namespace ColossalChat.Rewards;

/// <summary>Settings of the length reward; section <c>roles.reward</c>.</summary>
public sealed record LengthRewardOptions : ICheckedOptions
{
    /// <summary>Tokens of the best answer. 1 or more; default 32.</summary>
    public int Target { get; init; } = 32;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Target < 1)
            yield return $"target is {Target}; it must be 1 or more.";
    }
}

/// <summary>The shortest reward there is, to copy from: 1 at the target length, falling to -1 at twice that or at nothing.</summary>
/// <param name="options">Settings.</param>
public sealed class LengthReward(LengthRewardOptions options) : IScoringRole
{
    /// <inheritdoc/>
    public ScoreKind Kind => ScoreKind.Rewards;

    /// <inheritdoc/>
    public Scores Score(Rollout rollout, CancellationToken cancel) => Scores.Of(Kind, Ragged.Scalars<float>(
        Enumerable.Range(0, rollout.Rows).Select(row => OfLength(rollout.Tokens.LengthOf(row))).ToArray()));

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

    private float OfLength(int tokens) =>
        Math.Max(-1, 1 - (2f * Math.Abs(tokens - options.Target) / options.Target));
}
