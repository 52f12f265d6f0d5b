using System.Buffers.Binary;
using System.IO.Hashing;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// The hash of a block: XxHash128 over the XxHash3s of its chunks. One pass over the bytes gives both, in whatever order the
/// chunks come: a chunk's shows at once that it came broken, the block's that it is what was published.
/// </summary>
/// <param name="chunks">How many the block has.</param>
internal sealed class BlockHash(int chunks)
{
    /// <summary>Bytes to copy and hash at a time, so that the second finds in the nearest cache what the first has touched.</summary>
    public const int Piece = 1 << 16;

    private readonly byte[] _chunks = new byte[chunks * sizeof(ulong)];

    /// <summary>The block's, once all chunks have theirs; 32 hexadecimal digits.</summary>
    public string Text => Convert.ToHexStringLower(XxHash128.Hash(_chunks));

    /// <summary>The hash of a block whose bytes are all here.</summary>
    public static string Of(ReadOnlySpan<byte> content)
    {
        var chunks = BlobFile.ChunksOf(content.Length);
        var hash = new BlockHash(chunks);
        for (var chunk = 0; chunk < chunks; chunk++)
        {
            var rest = content[(chunk * BlobFile.ChunkLength)..];
            hash.Set(chunk, XxHash3.HashToUInt64(rest[..Math.Min(BlobFile.ChunkLength, rest.Length)]));
        }

        return hash.Text;
    }

    /// <summary>A chunk has this hash.</summary>
    public void Set(int chunk, ulong hash) => BinaryPrimitives.WriteUInt64LittleEndian(_chunks.AsSpan(chunk * sizeof(ulong)), hash);

    /// <summary>Compares with the hash that the block should have.</summary>
    /// <exception cref="IOException">It has another.</exception>
    public void Check(BlobReference blob)
    {
        if (Text is var text && text != blob.Hash)
            throw new IOException($"Block '{blob.Name}' has hash {text} instead of {blob.Hash}.");
    }
}
