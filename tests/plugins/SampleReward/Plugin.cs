using ColossalChat.Contracts;

namespace SampleReward;

public sealed class Plugin : IPlugin
{
    public void Register(IPluginRegistry registry)
    {
        registry.Add<IScoringRole, SampleOptions>("sample-reward", (options, _) => new Reward(options));
        registry.AddShared<IAdvantageEstimator, NoOptions>("sample-estimator", (_, _) => new Estimator());
    }
}

/// <summary>Settings of the sample.</summary>
public sealed record SampleOptions : ICheckedOptions
{
    /// <summary>Score of <c>every</c> answer. -1 to 1; default 0.5.</summary>
    public float Score { get; init; } = 0.5f;

    /// <summary>Nested settings.</summary>
    public InnerOptions Inner { get; init; } = new() { Patience = TimeSpan.FromSeconds(30) };

    public IEnumerable<string> Problems()
    {
        if (Score is < -1 or > 1)
            yield return $"score is {Score}; it must be from -1 to 1.";
    }
}

/// <summary>Nested settings.</summary>
public sealed record InnerOptions
{
    /// <summary>How long to wait.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromMinutes(1);
}

public sealed class Reward(SampleOptions options) : IScoringRole
{
    public ScoreKind Kind => ScoreKind.Rewards;

    public Scores Score(Rollout rollout, CancellationToken cancel) =>
        Scores.Of(Kind, Ragged.Scalars<float>(Enumerable.Repeat(options.Score, rollout.Rows).ToArray()));

    public void LoadWeights(WeightsPublication publication, CancellationToken cancel)
    {
    }

    public void Dispose()
    {
    }
}

public sealed class Estimator : IAdvantageEstimator
{
    public AdvantageEstimate Estimate(AdvantageInput input) => new(input.Rewards, input.Rewards);
}
