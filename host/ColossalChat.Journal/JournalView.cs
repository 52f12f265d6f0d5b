namespace ColossalChat.Journal;

/// <summary>
/// What a journal holds at one moment. Changes nothing, so it may be taken while the run is going on: what the index does
/// not know yet is read from the segments.
/// </summary>
public sealed class JournalView : IDisposable
{
    private readonly string _folder;
    private readonly HashSet<SegmentId> _indexed;
    private readonly List<RecordHead> _scanned;
    private JournalIndex? _index;

    private JournalView(string folder, JournalIndex? index, HashSet<SegmentId> indexed, List<RecordHead> scanned) =>
        (_folder, _index, _indexed, _scanned) = (folder, index, indexed, scanned);

    /// <summary>The iteration after which each epoch began, by epoch, in order.</summary>
    public IReadOnlyDictionary<long, long> Epochs { get; private init; } = new Dictionary<long, long>();

    /// <summary>What is torn or damaged, one sentence each.</summary>
    public IReadOnlyList<string> Remarks { get; private init; } = [];

    /// <summary>Segments of which the index knew less than there is, and what they hold beyond it.</summary>
    internal IReadOnlyDictionary<SegmentId, SegmentContent> Beyond { get; private init; } = new Dictionary<SegmentId, SegmentContent>();

    /// <summary>Looks at a journal.</summary>
    /// <param name="folder">Its folder; one that is not there is an empty journal.</param>
    public static JournalView Open(string folder)
    {
        var index = JournalIndex.TryOpen(folder);
        try
        {
            return Open(folder, index);
        }
        catch (Exception error) when (index is not null && JournalIndex.IsFault(error))
        {
            index.Dispose();
            return Open(folder, null);
        }
        catch
        {
            index?.Dispose();
            throw;
        }
    }

    /// <summary>Records of an iteration, in the order they were written.</summary>
    public IReadOnlyList<RecordHead> Of(long iteration) =>
        Joined(index => index.Of(iteration), record => record.Key.Iteration == iteration);

    /// <summary>Records of a type, in the order they were written.</summary>
    public IReadOnlyList<RecordHead> Of(RecordType type) =>
        Joined(index => index.Of(type), record => record.Key.Type == type);

    /// <summary>A record's content; null when it has lost its checksum, or is gone.</summary>
    public byte[]? Content(RecordHead record) => SegmentScan.Content(_folder, record);

    /// <summary>A record by its place; null when there is none.</summary>
    /// <param name="iteration">The iteration that it is of.</param>
    /// <param name="segment">File.</param>
    /// <param name="offset">First byte in it.</param>
    public RecordHead? At(long iteration, SegmentId segment, long offset)
    {
        foreach (var record in Of(iteration))
            if (record.Segment == segment && record.Offset == offset)
                return record;
        return null;
    }

    /// <inheritdoc/>
    public void Dispose() => _index?.Dispose();

    private static JournalView Open(string folder, JournalIndex? index)
    {
        var known = index?.Segments() ?? new Dictionary<SegmentId, (long After, long Length)>();
        var (indexed, scanned, remarks) = (new HashSet<SegmentId>(), new List<RecordHead>(), new List<string>());
        var (epochs, beyond) = (new SortedDictionary<long, long>(), new Dictionary<SegmentId, SegmentContent>());
        foreach (var segment in JournalFolder.Segments(folder))
        {
            var length = new FileInfo(JournalFolder.PathOf(folder, segment)).Length;

            // Longer than the file: the disk lost what the index has, so the index tells nothing about it.
            if (known.TryGetValue(segment, out var entry) && entry.Length <= length)
            {
                indexed.Add(segment);
                epochs[segment.Epoch] = entry.After;
                if (entry.Length == length)
                    continue;
            }

            var content = SegmentScan.Read(folder, segment, indexed.Contains(segment) ? entry.Length : 0);
            beyond[segment] = content;
            scanned.AddRange(content.Records);
            if (content.After is { } after)
                epochs[segment.Epoch] = after;
            if (content.Torn > 0)
                remarks.Add($"{segment}: the last {content.Torn} bytes are torn, as a kill in a write leaves them; they do not count.");
            if (content.Damaged > 0)
                remarks.Add($"{segment}: {content.Damaged} bytes between whole records are damaged; what they held does not count.");
        }

        return new JournalView(folder, index, indexed, scanned) { Epochs = epochs, Remarks = remarks, Beyond = beyond };
    }

    private List<RecordHead> Joined(Func<JournalIndex, IReadOnlyList<RecordHead>> ask, Func<RecordHead, bool> isMeant) =>
        [.. Ask(ask).Where(record => _indexed.Contains(record.Segment))
            .Concat(_scanned.Where(isMeant))
            .OrderBy(record => record.Segment.Epoch)
            .ThenBy(record => record.Segment.Number)
            .ThenBy(record => record.Offset)];

    private IReadOnlyList<RecordHead> Ask(Func<JournalIndex, IReadOnlyList<RecordHead>> ask)
    {
        try
        {
            return _index is null ? [] : ask(_index);
        }
        catch (Exception error) when (JournalIndex.IsFault(error))
        {
            // Damaged further in than its first page: the segments say it all.
            _index!.Dispose();
            _index = null;
            _scanned.InsertRange(0, _indexed.SelectMany(segment => SegmentScan.Read(_folder, segment).Records).Except(_scanned).ToArray());
            return [];
        }
    }

    /// <summary>True when the index may be asked about a segment; otherwise what it has of it is wrong.</summary>
    internal bool Knows(SegmentId segment) => _indexed.Contains(segment);
}
