using System.IO.Hashing;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>Copies a block out of this machine's memory, chunk by chunk as they come. Used by one thread.</summary>
internal sealed class BlobCopy(BlobFile file, BlobReference blob, TimeSpan longest)
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(20);
    private readonly Deadline _deadline = new(longest);

    /// <summary>The first chunk that is not copied.</summary>
    public int Next { get; private set; }

    /// <summary>Copies a block that is complete, and checks its hash unless that has been done on this machine.</summary>
    public static void Whole(BlobFile file, BlobReference blob, Span<byte> destination, CancellationToken cancel)
    {
        var (isVerified, hash) = (file.IsVerified, new XxHash128());
        for (var chunk = 0; chunk < file.Chunks; chunk++)
        {
            cancel.ThrowIfCancellationRequested();
            var piece = destination.Slice(chunk * BlobFile.ChunkLength, file.LengthOf(chunk));
            file.Read(file.PlaceOf(chunk), piece);
            if (!isVerified)
                hash.Append(piece);
        }

        if (isVerified)
            return;
        Compare(blob, Convert.ToHexStringLower(hash.GetCurrentHash()));
        file.IsVerified = true;
    }

    /// <summary>Checks the hash of a block that was fetched.</summary>
    /// <exception cref="IOException">It has another.</exception>
    public static void Check(BlobReference blob, ReadOnlySpan<byte> content) => Compare(blob, Convert.ToHexStringLower(XxHash128.Hash(content)));

    /// <summary>Copies the chunks that are here.</summary>
    /// <returns>True when all are copied.</returns>
    public bool TryNext(Span<byte> destination, CancellationToken cancel)
    {
        for (; Next < file.Chunks && file.IsReady(Next); Next++)
        {
            cancel.ThrowIfCancellationRequested();
            file.Read(file.PlaceOf(Next), destination.Slice(Next * BlobFile.ChunkLength, file.LengthOf(Next)));
        }

        cancel.ThrowIfCancellationRequested();
        return Next == file.Chunks;
    }

    /// <summary>Waits a little for the next chunk, which somebody else brings.</summary>
    public void AwaitNext()
    {
        if (!file.AwaitReady(Next, s_look) && _deadline.HasPassed)
            throw new IOException($"Block '{blob.Name}' did not come within {longest}.");
    }

    private static void Compare(BlobReference blob, string hash)
    {
        if (hash != blob.Hash)
            throw new IOException($"Block '{blob.Name}' has hash {hash} instead of {blob.Hash}.");
    }
}
