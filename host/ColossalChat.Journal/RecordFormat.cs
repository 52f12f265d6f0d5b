using System.Buffers.Binary;
using System.IO.Hashing;

namespace ColossalChat.Journal;

/// <summary>
/// How segments are laid out, little-endian. A segment begins with 32 bytes: "CCJS", version (1 byte) and 3 zeros, epoch
/// (8), number (4), the iteration after which the epoch began (8), XxHash32 of these. Then records follow one another: "CCJR",
/// type (1), version (1) and 2 zeros, length of the content (4), shard (4), iteration (8), part (4), rows (4), XxHash128 of
/// these and the content (16), content.
/// </summary>
internal static class RecordFormat
{
    public const byte Version = 1;
    public const int SegmentHeadBytes = 32;
    public const int HeadBytes = 48;

    /// <summary>Largest content, in bytes.</summary>
    public const int MostBytes = 1 << 30;

    private const int Hashed = 32;
    private const uint SegmentMagic = 0x534A4343;
    private const uint RecordMagic = 0x524A4343;

    /// <summary>First bytes of every record.</summary>
    public static ReadOnlySpan<byte> Magic => "CCJR"u8;

    public static byte[] SegmentHead(SegmentId segment, long after)
    {
        var head = new byte[SegmentHeadBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(head, SegmentMagic);
        head[4] = Version;
        BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(8), segment.Epoch);
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(16), segment.Number);
        BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(20), after);
        BinaryPrimitives.WriteUInt32LittleEndian(head.AsSpan(28), XxHash32.HashToUInt32(head.AsSpan(0, 28)));
        return head;
    }

    /// <summary>The iteration after which a segment's epoch began; null when its head is torn or not of this segment.</summary>
    public static long? AfterOf(ReadOnlySpan<byte> head, SegmentId segment)
    {
        if (head.Length < SegmentHeadBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(head) != SegmentMagic
            || head[4] != Version
            || BinaryPrimitives.ReadInt64LittleEndian(head[8..]) != segment.Epoch
            || BinaryPrimitives.ReadInt32LittleEndian(head[16..]) != segment.Number
            || BinaryPrimitives.ReadUInt32LittleEndian(head[28..]) != XxHash32.HashToUInt32(head[..28]))
            return null;
        return BinaryPrimitives.ReadInt64LittleEndian(head[20..]);
    }

    public static byte[] Head(RecordKey key, ReadOnlySpan<byte> content)
    {
        var head = new byte[HeadBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(head, RecordMagic);
        (head[4], head[5]) = ((byte)key.Type, Version);
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(8), content.Length);
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(12), key.Shard);
        BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(16), key.Iteration);
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(24), key.Part);
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(28), key.Rows);
        Sum(head, content, head.AsSpan(Hashed));
        return head;
    }

    /// <summary>What a head says, unchecked but for its magic, version and length; null when it is none.</summary>
    /// <param name="head">At least <see cref="HeadBytes"/>.</param>
    /// <param name="room">Bytes left in the file after the head.</param>
    public static (RecordKey Key, int Length)? Parse(ReadOnlySpan<byte> head, long room)
    {
        var length = BinaryPrimitives.ReadInt32LittleEndian(head[8..]);
        if (BinaryPrimitives.ReadUInt32LittleEndian(head) != RecordMagic || head[5] != Version || length is < 0 or > MostBytes || length > room)
            return null;
        return (new RecordKey(
            (RecordType)head[4],
            BinaryPrimitives.ReadInt64LittleEndian(head[16..]),
            BinaryPrimitives.ReadInt32LittleEndian(head[12..]),
            BinaryPrimitives.ReadInt32LittleEndian(head[24..]),
            BinaryPrimitives.ReadInt32LittleEndian(head[28..])), length);
    }

    /// <summary>Whether head and content have their checksum.</summary>
    public static bool IsWhole(ReadOnlySpan<byte> head, ReadOnlySpan<byte> content)
    {
        Span<byte> sum = stackalloc byte[16];
        Sum(head, content, sum);
        return sum.SequenceEqual(head.Slice(Hashed, 16));
    }

    private static void Sum(ReadOnlySpan<byte> head, ReadOnlySpan<byte> content, Span<byte> sum)
    {
        var hash = new XxHash128();
        hash.Append(head[..Hashed]);
        hash.Append(content);
        hash.GetCurrentHash(sum);
    }
}
