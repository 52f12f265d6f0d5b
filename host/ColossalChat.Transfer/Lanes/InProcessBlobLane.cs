using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// The lane of a run in one process: blocks are held in memory under name and hash. Publishing equal content under the
/// same name again counts: it is freed when it was withdrawn as often. Safe to use from several threads.
/// </summary>
public sealed class InProcessBlobLane : IBlobLane
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(string Name, string Hash), Block> _blocks = [];

    /// <summary>Bytes held now.</summary>
    public long Bytes
    {
        get
        {
            lock (_gate)
                return _blocks.Values.Sum(block => (long)block.Content.Length);
        }
    }

    /// <inheritdoc/>
    public BlobReference Publish(string name, ReadOnlySpan<byte> content)
    {
        var copy = GC.AllocateUninitializedArray<byte>(content.Length);
        content.CopyTo(copy);
        return Keep(name, copy);
    }

    /// <inheritdoc/>
    public BlobReference Publish(string name, Stream content, long bytes)
    {
        // A reader fetches into a span, so no block can be larger than a span.
        if (bytes < 0 || bytes > Array.MaxLength)
            throw new ArgumentOutOfRangeException(nameof(bytes), bytes,
                $"Block '{name}' must have from 0 to {Array.MaxLength} bytes; publish it in parts.");
        var copy = GC.AllocateUninitializedArray<byte>((int)bytes);
        content.ReadExactly(copy);
        return Keep(name, copy);
    }

    /// <inheritdoc/>
    public void Fetch(BlobReference blob, Span<byte> destination, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        byte[] content;
        lock (_gate)
        {
            if (!_blocks.TryGetValue((blob.Name, blob.Hash), out var block))
                throw new IOException($"Block '{blob.Name}' with hash {blob.Hash} is gone: it was withdrawn or never published.");
            content = block.Content;
        }

        if (destination.Length != content.Length)
            throw new ArgumentException(
                $"Block '{blob.Name}' has {content.Length} bytes; the destination has {destination.Length}.", nameof(destination));

        // The array outlives a withdrawal, because this method still refers to it.
        content.CopyTo(destination);
        var hash = BlockHash.Of(destination);
        if (hash != blob.Hash)
            throw new IOException($"Block '{blob.Name}' has hash {hash} instead of {blob.Hash}.");
    }

    /// <inheritdoc/>
    public void Withdraw(BlobReference blob)
    {
        lock (_gate)
        {
            var key = (blob.Name, blob.Hash);
            if (_blocks.TryGetValue(key, out var block) && --block.Publications == 0)
                _blocks.Remove(key);
        }
    }

    private BlobReference Keep(string name, byte[] content)
    {
        var hash = BlockHash.Of(content);
        lock (_gate)
        {
            if (_blocks.TryGetValue((name, hash), out var known))
                known.Publications++;
            else
                _blocks[(name, hash)] = new Block(content);
        }

        return new BlobReference(name, content.Length, hash);
    }

    private sealed class Block(byte[] content)
    {
        public byte[] Content { get; } = content;

        public int Publications { get; set; } = 1;
    }
}
