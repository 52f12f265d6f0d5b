namespace ColossalChat.Journal;

/// <summary>What a record says. Values are part of saved runs.</summary>
public enum RecordType : byte
{
    /// <summary>The settings that the records after it were made with; the first of its epoch.</summary>
    Settings = 1,

    /// <summary>An iteration's window was opened: what its parts are made with.</summary>
    Window = 2,

    /// <summary>Answers of one batch.</summary>
    Rollout = 3,

    /// <summary>Scores of one kind for one batch.</summary>
    Scores = 4,

    /// <summary>A part that an older epoch wrote counts for this one too.</summary>
    Reused = 5,

    /// <summary>The window's experience went to the trainers.</summary>
    HandedOut = 6,

    /// <summary>All trainers have used it; the weights are those that came of it.</summary>
    Acknowledged = 7,

    /// <summary>An iteration that could not be written, because of the disk.</summary>
    Missing = 8,
}

/// <summary>What a record is about.</summary>
/// <param name="Type">What it says.</param>
/// <param name="Iteration">Which iteration; 0 where there is none.</param>
/// <param name="Shard">Which batch of it, from 0; 0 where there is none.</param>
/// <param name="Part">Which part of the batch, as its writer numbers them; 0 where there is none.</param>
/// <param name="Rows">Samples in it; 0 where there are none.</param>
public readonly record struct RecordKey(RecordType Type, long Iteration, int Shard = 0, int Part = 0, int Rows = 0);

/// <summary>A file of the journal.</summary>
/// <param name="Epoch">The attempt of the run that wrote it, from 1.</param>
/// <param name="Number">From 0 within its epoch.</param>
public readonly record struct SegmentId(long Epoch, int Number)
{
    /// <inheritdoc/>
    public override string ToString() => JournalFolder.NameOf(this);
}

/// <summary>Where a record is.</summary>
/// <param name="Key">What it is about.</param>
/// <param name="Segment">File.</param>
/// <param name="Offset">First byte of the record in it.</param>
/// <param name="Length">Bytes of its content.</param>
public readonly record struct RecordHead(RecordKey Key, SegmentId Segment, long Offset, int Length)
{
    /// <summary>Bytes of the whole record.</summary>
    internal long Size => RecordFormat.HeadBytes + (long)Length;
}
