using System.Buffers.Binary;
using System.Text;

namespace ColossalChat.Transfer;

/// <summary>What a frame between lanes says. Readers speak first; the other end answers.</summary>
internal enum FrameKind : byte
{
    /// <summary>Reader: who I am, and the token. The first frame, and nothing is answered to a wrong one.</summary>
    Hello = 1,

    /// <summary>Reader: send me chunks from, count.</summary>
    Want = 2,

    /// <summary>Reader: the parent of that id does not serve me; another one, please.</summary>
    Lost = 3,

    /// <summary>Reader: I have everything, and can serve it.</summary>
    Done = 4,

    /// <summary>Server: ask me for chunks.</summary>
    Serve = 16,

    /// <summary>Server: ask that reader for chunks, which has or gets them.</summary>
    Redirect = 17,

    /// <summary>Server: the block is not here, or no longer.</summary>
    Gone = 18,

    /// <summary>Server: I am alive, and have nothing yet.</summary>
    Wait = 19,

    /// <summary>Server: a chunk: its hash, then its bytes.</summary>
    Chunk = 20,
}

/// <summary>What a reader wants to be to the lane that it calls.</summary>
internal enum ReaderPurpose : byte
{
    /// <summary>Join the chain of readers; said to the publisher.</summary>
    Join = 1,

    /// <summary>Read from another reader; said to that one.</summary>
    Read = 2,
}

/// <summary>The first frame of a reader. <paramref name="Port"/> is 0 when it cannot serve others.</summary>
internal sealed record LaneHello(ReaderPurpose Purpose, Guid Block, byte[] Token, Guid Reader, string Host, int Port)
{
    /// <summary>Bytes without the host.</summary>
    public const int Fixed = 4 + 2 + 1 + 16 + LaneLocation.TokenLength + 16 + 2;

    /// <summary>Most bytes.</summary>
    public const int Longest = Fixed + LaneLocation.LongestHost;

    private const uint Magic = 0x4C424343; // CCBL
    private const ushort Version = 1;

    public byte[] ToBytes()
    {
        var host = Encoding.ASCII.GetBytes(Host);
        var bytes = new byte[Fixed + host.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(4), Version);
        bytes[6] = (byte)Purpose;
        Block.TryWriteBytes(bytes.AsSpan(7));
        Token.CopyTo(bytes, 23);
        Reader.TryWriteBytes(bytes.AsSpan(55));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(71), (ushort)Port);
        host.CopyTo(bytes, Fixed);
        return bytes;
    }

    /// <summary>Null for anything else.</summary>
    public static LaneHello? Parse(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length is < Fixed or > Longest || BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Magic || BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]) != Version)
            return null;
        var purpose = (ReaderPurpose)bytes[6];
        return purpose is (ReaderPurpose.Join or ReaderPurpose.Read) && LaneLocation.IsHost(bytes[Fixed..])
            ? new LaneHello(purpose, new Guid(bytes.Slice(7, 16)), bytes.Slice(23, LaneLocation.TokenLength).ToArray(), new Guid(bytes.Slice(55, 16)),
                Encoding.ASCII.GetString(bytes[Fixed..]), BinaryPrimitives.ReadUInt16LittleEndian(bytes[71..]))
            : null;
    }
}

/// <summary>Where a redirected reader shall ask.</summary>
internal sealed record LaneParent(Guid Id, string Host, int Port)
{
    private const int Fixed = 18;

    public byte[] ToBytes()
    {
        var bytes = new byte[Fixed + Host.Length];
        Id.TryWriteBytes(bytes);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(16), (ushort)Port);
        Encoding.ASCII.GetBytes(Host, bytes.AsSpan(Fixed));
        return bytes;
    }

    public static LaneParent? Parse(ReadOnlySpan<byte> bytes) => bytes.Length is > Fixed and <= Fixed + LaneLocation.LongestHost && LaneLocation.IsHost(bytes[Fixed..])
        ? new LaneParent(new Guid(bytes[..16]), Encoding.ASCII.GetString(bytes[Fixed..]), BinaryPrimitives.ReadUInt16LittleEndian(bytes[16..]))
        : null;
}
