using System.IO.Hashing;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>Hashes a block while its bytes come by and are in the processor's cache; what comes out of order waits for the end. Used by one thread.</summary>
internal sealed class RunningHash(BlobReference blob)
{
    /// <summary>Bytes to copy and hash at a time, so that the second finds in the nearest cache what the first has touched.</summary>
    public const int Piece = 1 << 16;

    private readonly XxHash128 _hash = new();
    private long _next;

    /// <summary>A part is here.</summary>
    /// <param name="start">Where it begins in the block.</param>
    /// <param name="bytes">The part.</param>
    public void Add(long start, ReadOnlySpan<byte> bytes)
    {
        if (start != _next)
            return;
        _hash.Append(bytes);
        _next += bytes.Length;
    }

    /// <summary>Compares with the hash that the block should have.</summary>
    /// <param name="content">All of it.</param>
    /// <exception cref="IOException">It has another.</exception>
    public void Check(ReadOnlySpan<byte> content)
    {
        _hash.Append(content[(int)_next..]);
        var hash = Convert.ToHexStringLower(_hash.GetCurrentHash());
        if (hash != blob.Hash)
            throw new IOException($"Block '{blob.Name}' has hash {hash} instead of {blob.Hash}.");
    }
}
