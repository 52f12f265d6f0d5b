using System.Buffers;
using Microsoft.Win32.SafeHandles;

namespace ColossalChat.Journal;

/// <summary>What a look through a segment gave.</summary>
/// <param name="After">The iteration after which the segment's epoch began; null when its head is torn: nothing of it counts.</param>
/// <param name="Records">Whole records in file order.</param>
/// <param name="End">Where the last of them ends; what follows is torn.</param>
/// <param name="Length">Bytes of the file.</param>
/// <param name="Damaged">Bytes between whole records that have lost their checksum.</param>
internal sealed record SegmentContent(long? After, IReadOnlyList<RecordHead> Records, long End, long Length, long Damaged)
{
    /// <summary>Bytes behind the last whole record, as a kill in a write leaves them.</summary>
    public long Torn => Length - End;
}

/// <summary>
/// Reads a segment from end to end and keeps what has its checksum. After a damaged record it looks for the next whole one,
/// so that one bad block of a disk does not cost all that follows.
/// </summary>
internal static class SegmentScan
{
    private const int Block = 1 << 16;

    /// <summary>Reads the records from a place on.</summary>
    /// <param name="folder">The journal's folder.</param>
    /// <param name="segment">Which.</param>
    /// <param name="from">Where a record begins; 0 for all of them.</param>
    public static SegmentContent Read(string folder, SegmentId segment, long from = 0)
    {
        using var file = Open(folder, segment);
        var length = RandomAccess.GetLength(file);
        var head = new byte[RecordFormat.SegmentHeadBytes];
        var after = RandomAccess.Read(file, head, 0) == head.Length ? RecordFormat.AfterOf(head, segment) : null;
        if (after is null)
            return new SegmentContent(null, [], 0, length, 0);
        var (records, offset, damaged) = (new List<RecordHead>(), Math.Max(from, RecordFormat.SegmentHeadBytes), 0L);
        var end = offset;
        while (offset < length)
        {
            if (At(file, segment, offset, length) is { } record)
            {
                damaged += offset - end;
                records.Add(record);
                offset = end = offset + record.Size;
            }
            else if (NextMagic(file, offset + 1, length) is { } next)
            {
                offset = next;
            }
            else
            {
                break;
            }
        }

        return new SegmentContent(after, records, end, length, damaged);
    }

    /// <summary>A record's content; null when it has lost its checksum.</summary>
    public static byte[]? Content(string folder, RecordHead record)
    {
        if (!File.Exists(JournalFolder.PathOf(folder, record.Segment)))
            return null;
        using var file = Open(folder, record.Segment);
        var (head, content) = (new byte[RecordFormat.HeadBytes], new byte[record.Length]);
        var isThere = RandomAccess.Read(file, head, record.Offset) == head.Length && Fill(file, content, record.Offset + head.Length);
        return isThere && RecordFormat.Parse(head, record.Length) == (record.Key, record.Length) && RecordFormat.IsWhole(head, content) ? content : null;
    }

    private static RecordHead? At(SafeFileHandle file, SegmentId segment, long offset, long length)
    {
        Span<byte> head = stackalloc byte[RecordFormat.HeadBytes];
        if (length - offset < head.Length || RandomAccess.Read(file, head, offset) != head.Length
            || RecordFormat.Parse(head, length - offset - head.Length) is not { } parsed)
            return null;
        var content = ArrayPool<byte>.Shared.Rent(parsed.Length);
        try
        {
            var whole = content.AsSpan(0, parsed.Length);
            return Fill(file, whole, offset + head.Length) && RecordFormat.IsWhole(head, whole)
                ? new RecordHead(parsed.Key, segment, offset, parsed.Length)
                : null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(content);
        }
    }

    private static long? NextMagic(SafeFileHandle file, long from, long length)
    {
        var block = new byte[Block];
        while (from < length)
        {
            var read = RandomAccess.Read(file, block, from);
            var at = block.AsSpan(0, read).IndexOf(RecordFormat.Magic);
            if (at >= 0)
                return from + at;
            if (read < RecordFormat.Magic.Length)
                return null;
            from += read - (RecordFormat.Magic.Length - 1);
        }

        return null;
    }

    private static bool Fill(SafeFileHandle file, Span<byte> destination, long offset)
    {
        while (destination.Length > 0)
        {
            var read = RandomAccess.Read(file, destination, offset);
            if (read == 0)
                return false;
            destination = destination[read..];
            offset += read;
        }

        return true;
    }

    // Its writer may be going on, and may remove it.
    private static SafeFileHandle Open(string folder, SegmentId segment) =>
        File.OpenHandle(JournalFolder.PathOf(folder, segment), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
}
