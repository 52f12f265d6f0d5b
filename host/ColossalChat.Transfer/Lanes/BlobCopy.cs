using System.IO.Hashing;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>Copies a block out of this machine's memory, chunk by chunk as they come. Used by one thread.</summary>
internal sealed class BlobCopy(BlobFile file, BlobReference blob, BlockHash hash, TimeSpan longest)
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(20);
    private readonly Deadline _deadline = new(longest);

    /// <summary>The first chunk that is not copied.</summary>
    public int Next { get; private set; }

    /// <summary>Copies a block that is complete, and checks its hash unless that has been done on this machine.</summary>
    public static void Whole(BlobFile file, BlobReference blob, Span<byte> destination, CancellationToken cancel)
    {
        var (isVerified, hash) = (file.IsVerified, new BlockHash(file.Chunks));
        for (var chunk = 0; chunk < file.Chunks; chunk++)
        {
            cancel.ThrowIfCancellationRequested();
            Copy(file, chunk, destination, isVerified ? null : hash);
        }

        if (isVerified)
            return;
        hash.Check(blob);
        file.IsVerified = true;
    }

    /// <summary>Copies the chunks that are here.</summary>
    /// <returns>True when all are copied.</returns>
    public bool TryNext(Span<byte> destination, CancellationToken cancel)
    {
        for (; Next < file.Chunks && file.IsReady(Next); Next++)
        {
            cancel.ThrowIfCancellationRequested();
            Copy(file, Next, destination, hash);
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

    private static void Copy(BlobFile file, int chunk, Span<byte> destination, BlockHash? hash)
    {
        var (start, length) = (chunk * BlobFile.ChunkLength, file.LengthOf(chunk));
        if (hash is null)
        {
            file.Read(file.PlaceOf(chunk), destination.Slice(start, length));
            return;
        }

        var running = new XxHash3();
        for (var done = 0; done < length; done += BlockHash.Piece)
        {
            var piece = destination.Slice(start + done, Math.Min(BlockHash.Piece, length - done));
            file.Read(file.PlaceOf(chunk) + done, piece);
            running.Append(piece);
        }

        hash.Set(chunk, running.GetCurrentHashAsUInt64());
    }
}
