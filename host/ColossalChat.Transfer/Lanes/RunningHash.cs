using System.IO.Hashing;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>Hashes a block while its chunks come by and are in the processor's cache; those that come out of order wait for the end. Used by one thread.</summary>
internal sealed class RunningHash(BlobReference blob)
{
    private readonly XxHash128 _hash = new();
    private int _next;

    /// <summary>A chunk is here.</summary>
    public void Add(int chunk, ReadOnlySpan<byte> bytes)
    {
        if (chunk != _next)
            return;
        _hash.Append(bytes);
        _next++;
    }

    /// <summary>Compares with the hash that the block should have.</summary>
    /// <param name="content">All of it.</param>
    /// <exception cref="IOException">It has another.</exception>
    public void Check(ReadOnlySpan<byte> content)
    {
        _hash.Append(content[(int)Math.Min((long)_next * BlobFile.ChunkLength, content.Length)..]);
        var hash = Convert.ToHexStringLower(_hash.GetCurrentHash());
        if (hash != blob.Hash)
            throw new IOException($"Block '{blob.Name}' has hash {hash} instead of {blob.Hash}.");
    }
}
