using ColossalChat.Contracts;

namespace FlakyReward;

/// <summary>A reward that goes wrong in one iteration of a run, in the way that is asked for.</summary>
public sealed class Plugin : IPlugin
{
    public void Register(IPluginRegistry registry) =>
        registry.Add<IScoringRole, FlakyOptions>("flaky-reward", (options, node) => new Reward(options, node.Resolve<IScoringRole>("word-reward")));
}

/// <summary>Settings.</summary>
public sealed record FlakyOptions : ICheckedOptions
{
    /// <summary>throw, hang, nan (its own rows fail) or infinity (says that all is well with them); default none.</summary>
    public string Fault { get; init; } = "none";

    /// <summary>Iteration in which it happens.</summary>
    public long Iteration { get; init; }

    /// <summary>File that says that it has happened; it happens once. Empty: at every call of the iteration.</summary>
    public string Marker { get; init; } = "";

    public IEnumerable<string> Problems() =>
        Fault is "none" or "throw" or "hang" or "nan" or "infinity" ? [] : [$"fault is {Fault}; use throw, hang, nan, infinity or none."];
}

public sealed class Reward(FlakyOptions options, IScoringRole inner) : IScoringRole
{
    public ScoreKind Kind => inner.Kind;

    public Scores Score(Rollout rollout, CancellationToken cancel)
    {
        var scores = inner.Score(rollout, cancel);
        return rollout.Batch.Iteration == options.Iteration && IsItsTurn() ? Fail(scores) : scores;
    }

    public void LoadWeights(WeightsPublication publication, CancellationToken cancel) => inner.LoadWeights(publication, cancel);

    public void Dispose() => inner.Dispose();

    private bool IsItsTurn()
    {
        if (options.Marker.Length == 0)
            return true;
        if (File.Exists(options.Marker))
            return false;
        File.WriteAllText(options.Marker, DateTimeOffset.UtcNow.ToString("O"));
        return true;
    }

    private Scores Fail(Scores scores)
    {
        switch (options.Fault)
        {
            case "throw":
                throw new InvalidOperationException("the flaky reward throws");
            case "hang":
                using (var never = new ManualResetEventSlim())
                    never.Wait(CancellationToken.None);
                return scores;
            case "nan":
                return Scores.Of(Kind, Odd(scores, float.NaN));
            case "infinity":
                return scores with { Values = Odd(scores, float.PositiveInfinity) };
            default:
                return scores;
        }
    }

    private static Ragged<float> Odd(Scores scores, float odd) =>
        Ragged.Scalars<float>(Enumerable.Range(1, scores.Values.Rows - 1).Select(row => scores.Values[row].Span[0]).Prepend(odd).ToArray());
}
