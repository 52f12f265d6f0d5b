using System.Buffers.Binary;
using System.Text;

namespace ColossalChat.Transfer;

/// <summary>What a connection is for.</summary>
internal enum LinePurpose : byte
{
    /// <summary>Is anybody with this id there?</summary>
    Probe,

    /// <summary>The users' bytes.</summary>
    Data,

    /// <summary>Words between the groups' members themselves: reasons, farewells, segments.</summary>
    Control,
}

/// <summary>How a greeting was taken.</summary>
internal enum Answer : byte
{
    /// <summary>Come in.</summary>
    Welcome,

    /// <summary>Nobody of that id is here, or no longer: look for a newer card.</summary>
    Unknown,

    /// <summary>This rank is taken, or the number of ranks differs.</summary>
    Refused,
}

/// <summary>The first bytes on a connection between ranks: 54 fixed ones, then the group's name in UTF-8.</summary>
internal sealed record Greeting(LinePurpose Purpose, string Group, int Rank, int Ranks, Guid From, Guid To)
{
    /// <summary>Bytes before the group's name.</summary>
    public const int Fixed = 54;

    /// <summary>Longest name of a group, bytes.</summary>
    public const int LongestGroup = 512;

    private const uint Magic = 0x4C504343; // CCPL
    private const ushort Version = 1;

    public byte[] ToBytes()
    {
        var name = Encoding.UTF8.GetBytes(Group);
        if (name.Length > LongestGroup)
            throw new ArgumentException($"The group's name has {name.Length} bytes; at most {LongestGroup} are allowed.");
        var bytes = new byte[Fixed + name.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(4), Version);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(6), (ushort)name.Length);
        bytes[8] = (byte)Purpose;
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), Rank);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(16), Ranks);
        From.TryWriteBytes(bytes.AsSpan(20));
        To.TryWriteBytes(bytes.AsSpan(36));
        name.CopyTo(bytes, Fixed);
        return bytes;
    }

    /// <summary>Length of the whole greeting from its fixed part; null when it is none of ours.</summary>
    public static int? LengthOf(ReadOnlySpan<byte> head)
    {
        var isOurs = BinaryPrimitives.ReadUInt32LittleEndian(head) == Magic && BinaryPrimitives.ReadUInt16LittleEndian(head[4..]) == Version;
        var name = BinaryPrimitives.ReadUInt16LittleEndian(head[6..]);
        return isOurs && name <= LongestGroup && head[8] <= (byte)LinePurpose.Control ? Fixed + name : null;
    }

    public static Greeting Parse(ReadOnlySpan<byte> bytes) => new(
        (LinePurpose)bytes[8],
        Encoding.UTF8.GetString(bytes[Fixed..]),
        BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]),
        BinaryPrimitives.ReadInt32LittleEndian(bytes[16..]),
        new Guid(bytes.Slice(20, 16)),
        new Guid(bytes.Slice(36, 16)));
}
