namespace ColossalChat.Contracts;

/// <summary>Where a run's numbers go besides <c>metrics.jsonl</c>.</summary>
public interface IMetricSink : IDisposable
{
    /// <summary>Takes the numbers of one iteration.</summary>
    void Write(long iteration, IReadOnlyDictionary<string, double> metrics);
}

/// <summary>Makes a sink for a run.</summary>
public interface IMetricSinkFactory
{
    /// <summary>A sink that writes below <paramref name="runFolder"/>.</summary>
    IMetricSink Open(string runFolder);
}
