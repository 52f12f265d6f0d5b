using ColossalChat.Journal;

namespace ColossalChat.Cluster;

/// <summary>What a run keeps of its samples, in <c>journal/</c> of its folder; online runs only.</summary>
public sealed record JournalSettings
{
    /// <summary>
    /// Names all that answers and scores come from besides the weights that the run publishes: settings of the roles, plugins,
    /// frozen models. Parts of another origin are not used again.
    /// </summary>
    public required string ExperienceOrigin { get; init; }

    /// <summary>The run's configuration, for whoever replays it.</summary>
    public required string Configuration { get; init; }

    /// <summary>Newest iterations kept; files go whole, so a few more stay. 0 keeps all.</summary>
    public long KeepIterations { get; init; }

    /// <summary>Opens the files of an epoch; a test's disk may be full.</summary>
    internal Func<string, JournalEpoch, Action<string>, IJournalWriter> OpenWith { get; init; } = JournalWriter.Open;

    /// <summary>Bytes of a file; null chooses.</summary>
    internal long? SegmentBytes { get; init; }

    /// <summary>
    /// The origin where these versions of plugins are used in place of those that the process was started with. All processes
    /// that lead the run, one after the other, must name the same origin the same way, and different ones differently.
    /// </summary>
    internal string OriginWith(IEnumerable<PluginCopy> exchanged) => string.Join(' ', exchanged
        .OrderBy(copy => copy.Plugin, StringComparer.Ordinal)
        .Select(copy => $"{copy.Plugin} {copy.Fingerprint}")
        .Prepend(ExperienceOrigin));

    internal IJournalWriter Open(string runFolder, long epoch, long after, Action<string> remark) => OpenWith(
        JournalFolder.Of(runFolder),
        new JournalEpoch(epoch, after, System.Text.Encoding.UTF8.GetBytes(Configuration))
        {
            // Smaller ones where old ones are to go.
            SegmentBytes = SegmentBytes ?? (KeepIterations > 0 ? 4L << 20 : 64L << 20),
        },
        remark);
}
