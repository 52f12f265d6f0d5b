namespace ColossalChat.Rlhf;

/// <summary>Mean and deviation of all scores so far (Welford), to bring scores of any reward model to one scale.</summary>
public sealed class RewardScale
{
    /// <summary>Scores seen.</summary>
    public long Count { get; set; }

    /// <summary>Their mean.</summary>
    public double Mean { get; set; }

    /// <summary>Sum of squared distances from the mean.</summary>
    public double SquaredDistances { get; set; }

    /// <summary>Takes scores.</summary>
    public void Observe(IEnumerable<double> scores)
    {
        foreach (var score in scores)
        {
            Count++;
            var distance = score - Mean;
            Mean += distance / Count;
            SquaredDistances += distance * (score - Mean);
        }
    }

    /// <summary>A score in deviations from the mean; unchanged while fewer than two were seen or all are equal.</summary>
    public double Apply(double score)
    {
        var deviation = Count < 2 ? 0 : Math.Sqrt(SquaredDistances / Count);
        return deviation < 1e-8 ? score : (score - Mean) / deviation;
    }
}
