using ColossalChat.Contracts.Torch;

namespace ColossalChat.Engine;

/// <summary>One rank's share of a window's numbers, and the joining of all shares.</summary>
internal sealed class WindowSums
{
    /// <summary>Shares that add up.</summary>
    public Dictionary<string, double> Values { get; set; } = [];

    /// <summary>Numbers of which the largest counts.</summary>
    public Dictionary<string, double> Maxima { get; set; } = [];

    /// <summary>Squares of the gradients that this rank holds.</summary>
    public double SquaredNorm { get; set; }

    /// <summary>Adds one micro-batch's answer.</summary>
    /// <param name="prefix">Put before every name.</param>
    /// <param name="loss">Value of the loss share.</param>
    /// <param name="result">The answer.</param>
    public void Add(string prefix, double loss, ObjectiveResult result)
    {
        Sum(prefix + "loss", loss);
        foreach (var (name, value) in result.Metrics)
            Sum(prefix + name, value);
        foreach (var (name, value) in result.Maxima ?? new Dictionary<string, double>())
            Largest(prefix + name, value);
    }

    /// <summary>What all ranks have together, added in rank order.</summary>
    /// <param name="ranks">Every rank's share.</param>
    /// <param name="prefix">Of the loss, which is there even when nobody had anything to learn.</param>
    public static WindowSums Join(IReadOnlyList<WindowSums> ranks, string prefix)
    {
        var whole = new WindowSums { SquaredNorm = ranks.Sum(rank => rank.SquaredNorm) };
        whole.Sum(prefix + "loss", 0);
        foreach (var rank in ranks)
        {
            foreach (var (name, value) in rank.Values)
                whole.Sum(name, value);
            foreach (var (name, value) in rank.Maxima)
                whole.Largest(name, value);
        }

        foreach (var (name, value) in whole.Maxima)
            whole.Values[name] = value;
        return whole;
    }

    /// <summary>Puts the numbers among others; those that are there already stay.</summary>
    public void AddTo(Dictionary<string, double> metrics)
    {
        foreach (var (name, value) in Values)
            metrics.TryAdd(name, value);
    }

    private void Sum(string name, double value) => Values[name] = Values.GetValueOrDefault(name) + value;

    private void Largest(string name, double value) =>
        Maxima[name] = Maxima.TryGetValue(name, out var before) ? Math.Max(before, value) : value;
}
