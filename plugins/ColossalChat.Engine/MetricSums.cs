using ColossalChat.Contracts.Torch;

namespace ColossalChat.Engine;

/// <summary>Adds up the shares of a window's metrics and keeps its maxima.</summary>
internal sealed class MetricSums
{
    private readonly Dictionary<string, double> _values = [];

    public IReadOnlyDictionary<string, double> Values => _values;

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
            _values[prefix + name] = _values.TryGetValue(prefix + name, out var before) ? Math.Max(before, value) : value;
    }

    private void Sum(string name, double value) => _values[name] = _values.GetValueOrDefault(name) + value;
}
