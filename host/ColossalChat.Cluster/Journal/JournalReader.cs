using ColossalChat.Journal;

namespace ColossalChat.Cluster;

/// <summary>Reads journals of runs.</summary>
public static class JournalReader
{
    /// <summary>The highest attempt of a run that wrote a journal; 0 when none did.</summary>
    internal static long HighestEpoch(string runFolder) => JournalFolder.HighestEpoch(JournalFolder.Of(runFolder));

    /// <summary>What a run's journal says about the use of its samples. The run may be going on.</summary>
    /// <param name="runFolder">Folder of the run.</param>
    /// <returns>Null when the run has none: an offline stage, or <c>run.journal = off</c>.</returns>
    public static JournalAudit? Audit(string runFolder)
    {
        using var journal = RunJournal.Open(runFolder);
        return journal?.Audit();
    }
}
