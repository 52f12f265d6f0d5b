using System.Globalization;

namespace ColossalChat.Cluster;

/// <summary>What a run's journal says about the use of its samples.</summary>
public sealed record JournalAudit
{
    /// <summary>First iteration that it knows; 0 for none.</summary>
    public long FirstIteration { get; init; }

    /// <summary>Last iteration whose samples the weights have used; 0 for none.</summary>
    public long LastIteration { get; init; }

    /// <summary>Iterations whose samples were used exactly once.</summary>
    public int Iterations { get; init; }

    /// <summary>Their samples.</summary>
    public long Samples { get; init; }

    /// <summary>Attempts of the run that wrote.</summary>
    public int Attempts { get; init; }

    /// <summary>Samples that were used in what the run gave up when it went back.</summary>
    public long GivenUpSamples { get; init; }

    /// <summary>Iterations without a whole journal, which cannot be replayed: the disk was full, or the journal was off.</summary>
    public IReadOnlyList<long> NotJournalled { get; init; } = [];

    /// <summary>Iterations that have something twice.</summary>
    public IReadOnlyList<long> Twice { get; init; } = [];

    /// <summary>Iterations that were begun, never acknowledged, and passed over all the same.</summary>
    public IReadOnlyList<long> Lost { get; init; } = [];

    /// <summary>Iterations that did not begin with the weights that the one before ended with.</summary>
    public IReadOnlyList<long> Unconnected { get; init; } = [];

    /// <summary>What is torn or damaged, one sentence each.</summary>
    public IReadOnlyList<string> Remarks { get; init; } = [];

    /// <summary>True when every sample was used exactly once, as far as the journal knows.</summary>
    public bool IsExactlyOnce => Twice.Count + Lost.Count + Unconnected.Count == 0;

    /// <summary>One line for people.</summary>
    public string Line => $"{Verdict}; {Attempts.ToString(CultureInfo.InvariantCulture)} attempt{(Attempts == 1 ? "" : "s")}{Given}{Gaps}";

    /// <summary>Iterations as people write them: 1 to 4, 7.</summary>
    internal static string Name(IReadOnlyList<long> iterations)
    {
        var parts = new List<string>();
        for (var i = 0; i < iterations.Count; i++)
        {
            var first = i;
            while (i + 1 < iterations.Count && iterations[i + 1] == iterations[i] + 1)
                i++;
            var from = iterations[first].ToString(CultureInfo.InvariantCulture);
            parts.Add(i == first ? from : string.Create(CultureInfo.InvariantCulture, $"{from} to {iterations[i]}"));
        }

        return $"{(iterations.Count == 1 ? "iteration" : "iterations")} {string.Join(", ", parts)}";
    }

    private string Verdict
    {
        get
        {
            if (IsExactlyOnce)
                return Iterations == 0 ? "no sample used yet" : string.Create(CultureInfo.InvariantCulture, $"{Samples} samples of {Iterations} iterations (to {LastIteration}), each used exactly once");
            var faults = new List<string>();
            if (Twice.Count > 0)
                faults.Add($"twice: {Name(Twice)}");
            if (Lost.Count > 0)
                faults.Add($"lost: {Name(Lost)}");
            if (Unconnected.Count > 0)
                faults.Add($"begun from other weights than the one before left: {Name(Unconnected)}");
            return $"NOT exactly once: {string.Join("; ", faults)}";
        }
    }

    private string Given => GivenUpSamples == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $", {GivenUpSamples} samples given up with what came of them");

    private string Gaps => NotJournalled.Count == 0 ? "" : $"; not in the journal, so not replayable: {Name(NotJournalled)}";
}
