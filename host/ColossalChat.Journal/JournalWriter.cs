using Microsoft.Win32.SafeHandles;

namespace ColossalChat.Journal;

/// <summary>Where an epoch's records go.</summary>
public interface IJournalWriter : IDisposable
{
    /// <summary>Writes one record, so that it outlives this process.</summary>
    /// <returns>Where it is.</returns>
    /// <exception cref="IOException">The disk took it not or not whole.</exception>
    RecordHead Append(RecordKey key, ReadOnlySpan<byte> content);

    /// <summary>Has the disk keep what was written, so that it outlives this machine's power, and brings the index up to it.</summary>
    /// <exception cref="IOException">The disk did not.</exception>
    /// <exception cref="JournalFencedException">A later epoch writes now.</exception>
    void Flush();

    /// <summary>Removes segments that hold nothing after an iteration, other than the one that is written.</summary>
    /// <param name="iteration">The last that may go.</param>
    void Drop(long iteration);
}

/// <summary>What an epoch's segments begin with.</summary>
/// <param name="Epoch">The attempt of the run, from 1; higher than all before.</param>
/// <param name="After">The iteration it begins after.</param>
/// <param name="Settings">Content of the first record of every segment, so that it is there whichever of them are removed.</param>
public sealed record JournalEpoch(long Epoch, long After, byte[] Settings)
{
    /// <summary>Bytes after which a new segment is begun. Default 64 MB.</summary>
    public long SegmentBytes { get; init; } = 64L << 20;
}

/// <summary>A later epoch of the run writes the journal; whoever gets this is of an older one and must end.</summary>
public sealed class JournalFencedException(string message) : Exception(message);

/// <summary>
/// Writes the segments of one epoch. An older epoch's writer that still lives (a process that was paused) can only touch files
/// of its own epoch, which nobody counts any more where a later one has begun.
/// </summary>
public sealed class JournalWriter : IJournalWriter
{
    private readonly string _folder;
    private readonly long _epoch;
    private readonly long _after;
    private readonly long _rollAt;
    private readonly byte[] _settings;
    private readonly Action<string> _remark;
    private readonly List<RecordHead> _unindexed = [];
    private SegmentId _segment;
    private SafeFileHandle _file;
    private JournalIndex? _index;
    private long _length;
    private bool _isFaulty;

    private JournalWriter(string folder, JournalEpoch epoch, Action<string> remark)
    {
        (_folder, _epoch, _after, _rollAt, _settings, _remark) = (folder, epoch.Epoch, epoch.After, epoch.SegmentBytes, epoch.Settings, remark);
        _segment = new SegmentId(_epoch, JournalFolder.Segments(folder).Where(segment => segment.Epoch == _epoch).Select(segment => segment.Number + 1).DefaultIfEmpty(0).Max());
        _file = Begin();
    }

    /// <summary>
    /// Begins an epoch's next segment, cuts off what a killed writer of an older epoch left torn, and brings the index up to
    /// what is there.
    /// </summary>
    /// <param name="folder">The journal's folder; made when it is missing.</param>
    /// <param name="epoch">Whose records these are.</param>
    /// <param name="remark">Told what was cut off or could not be done.</param>
    /// <exception cref="IOException">The disk is full or cannot be written.</exception>
    /// <exception cref="JournalFencedException">A later epoch has begun.</exception>
    public static JournalWriter Open(string folder, JournalEpoch epoch, Action<string> remark)
    {
        Directory.CreateDirectory(folder);
        Fence(folder, epoch.Epoch);
        using (var view = JournalView.Open(folder))
            Mend(folder, epoch.Epoch, view, remark);
        var writer = new JournalWriter(folder, epoch, remark);
        writer.CatchUp();
        return writer;
    }

    /// <inheritdoc/>
    public RecordHead Append(RecordKey key, ReadOnlySpan<byte> content)
    {
        if (content.Length > RecordFormat.MostBytes)
            throw new IOException($"A record of {content.Length} bytes ({key}) is larger than the journal takes ({RecordFormat.MostBytes}); make stage.rows-per-batch smaller.");
        if (_isFaulty)
            throw new IOException($"{_segment} could not be written before; a new segment must be begun.");
        if (_length >= _rollAt)
            Roll();
        var record = new RecordHead(key, _segment, _length, content.Length);
        try
        {
            RandomAccess.Write(_file, RecordFormat.Head(key, content), _length);
            RandomAccess.Write(_file, content, _length + RecordFormat.HeadBytes);
        }
        catch (IOException)
        {
            // Whatever part of it is there has no checksum; nothing may follow it.
            _isFaulty = true;
            throw;
        }

        _length += record.Size;
        _unindexed.Add(record);
        return record;
    }

    /// <inheritdoc/>
    public void Flush()
    {
        Fence(_folder, _epoch);
        RandomAccess.FlushToDisk(_file);
        Index();
    }

    /// <inheritdoc/>
    public void Drop(long iteration)
    {
        if (_index is not { } index)
            return;
        foreach (var segment in JournalFolder.Segments(_folder).Where(segment => segment != _segment && segment.Epoch <= _epoch))
        {
            if (index.HighestIteration(segment) > iteration)
                continue;
            try
            {
                File.Delete(JournalFolder.PathOf(_folder, segment));
                index.Remove(segment);
            }
            catch (Exception error) when (JournalIndex.IsFault(error) || error is IOException or UnauthorizedAccessException)
            {
                _remark($"{segment} is no longer needed but could not be removed: {error.Message}");
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _file.Dispose();
        _index?.Dispose();
    }

    private static void Fence(string folder, long epoch)
    {
        if (JournalFolder.HighestEpoch(folder) is var highest && highest > epoch)
            throw new JournalFencedException($"Epoch {highest} writes the journal in {folder} now; epoch {epoch} may not any more.");
    }

    // Only files of older epochs: of its own it knows what is in them.
    private static void Mend(string folder, long epoch, JournalView view, Action<string> remark)
    {
        foreach (var sentence in view.Remarks)
            remark(sentence);
        foreach (var (segment, content) in view.Beyond)
        {
            if (content.Torn == 0 || segment.Epoch >= epoch)
                continue;
            using var file = File.OpenHandle(JournalFolder.PathOf(folder, segment), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
            RandomAccess.SetLength(file, content.End);
        }
    }

    private SafeFileHandle Begin()
    {
        var file = File.OpenHandle(JournalFolder.PathOf(_folder, _segment), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Read | FileShare.Delete);
        try
        {
            var record = new RecordHead(new RecordKey(RecordType.Settings, 0), _segment, RecordFormat.SegmentHeadBytes, _settings.Length);
            RandomAccess.Write(file, [.. RecordFormat.SegmentHead(_segment, _after), .. RecordFormat.Head(record.Key, _settings), .. _settings], 0);
            _length = record.Offset + record.Size;
            _unindexed.Add(record);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private void Roll()
    {
        Flush();
        _file.Dispose();
        _isFaulty = true;
        _segment = _segment with { Number = _segment.Number + 1 };
        _file = Begin();
        _isFaulty = false;
    }

    private void Index()
    {
        if (_index is null)
            return;
        try
        {
            _index.Add(_segment, _after, _unindexed, _length);
            _unindexed.Clear();
        }
        catch (Exception error) when (JournalIndex.IsFault(error))
        {
            _remark($"The journal's index could not be written ({error.Message}); it will be made again from the segments.");
            _index.Dispose();
            _index = null;
        }
    }

    private void CatchUp()
    {
        try
        {
            _index = JournalIndex.OpenOrCreate(_folder);
            using var view = JournalView.Open(_folder);
            foreach (var (segment, content) in view.Beyond)
            {
                if (segment == _segment || content.After is not { } after)
                    continue;
                if (!view.Knows(segment))
                    _index.Remove(segment);
                _index.Add(segment, after, content.Records, content.End);
            }

            foreach (var segment in _index.Segments().Keys.Except(JournalFolder.Segments(_folder)))
                _index.Remove(segment);
            _index.Add(_segment, _after, _unindexed, _length);
            _unindexed.Clear();
        }
        catch (Exception error) when (JournalIndex.IsFault(error) || error is IOException or UnauthorizedAccessException)
        {
            _remark($"The journal's index could not be brought up to its segments ({error.Message}); whoever reads the journal reads the segments.");
            _index?.Dispose();
            _index = null;
        }
    }
}
