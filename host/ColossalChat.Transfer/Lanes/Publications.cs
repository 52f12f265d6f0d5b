using System.IO.Hashing;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>A publication while it is copied.</summary>
internal sealed class BlobDraft(string name, Guid block, byte[] token, BlobFile file)
{
    private readonly BlockHash _hash = new(file.Chunks);

    public string Name => name;

    public Guid Block => block;

    public byte[] Token => token;

    public BlobFile File => file;

    public string Hash => _hash.Text;

    /// <summary>Copies the next chunk, and hashes it while it is in the processor's cache.</summary>
    public void Add(int chunk, ReadOnlySpan<byte> bytes)
    {
        var hash = new XxHash3();
        for (var done = 0; done < bytes.Length; done += BlockHash.Piece)
        {
            var piece = bytes.Slice(done, Math.Min(BlockHash.Piece, bytes.Length - done));
            file.Write(file.PlaceOf(chunk) + done, piece);
            hash.Append(piece);
        }

        var whole = hash.GetCurrentHashAsUInt64();
        _hash.Set(chunk, whole);
        file.MarkReady(chunk, whole);
    }

    public void Discard()
    {
        System.IO.File.Delete(file.Path);
        file.Dispose();
    }
}

/// <summary>What a lane has published. Equal content under the same name counts: it goes when it was withdrawn as often. Safe to use from several threads.</summary>
internal sealed class Publications(IReadOnlyList<LaneFolder> folders, BlobPool pool, LaneBlocks blocks, LaneTraffic traffic, INodeLog log) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(string Name, string Hash), Publication> _known = [];

    /// <summary>Takes room in the first folder that has it.</summary>
    /// <exception cref="IOException">None has.</exception>
    public BlobDraft Begin(string name, long bytes)
    {
        // A reader fetches into a span, so no block can be larger than a span.
        if (bytes < 0 || bytes > Array.MaxLength)
            throw new ArgumentOutOfRangeException(nameof(bytes), bytes, $"Block '{name}' must have from 0 to {Array.MaxLength} bytes; publish it in parts.");
        var (block, token) = (Guid.NewGuid(), LaneLocation.NewToken());
        if (pool.TryTake(bytes) is { } used)
        {
            used.Renew(block, token);
            return new BlobDraft(name, block, token, used);
        }

        IOException? noRoom = null;
        foreach (var folder in folders)
        {
            try
            {
                return new BlobDraft(name, block, token, BlobFile.Create(Path.Combine(folder.Own, $"{block:N}.blob"), block, token, bytes));
            }
            catch (IOException error)
            {
                log.Warning($"There is no room for block '{name}' of {bytes} bytes in {folder.Own}: {error.Message}");
                noRoom = error;
            }
        }

        throw new IOException($"There is no room for block '{name}' of {bytes} bytes in {string.Join(" or ", folders.Select(folder => folder.Own))}. Withdraw blocks, or set another spill folder.", noRoom);
    }

    /// <summary>Lets readers have it.</summary>
    public BlobReference Finish(BlobDraft draft, Func<Guid, byte[], string, LaneLocation> place)
    {
        var (name, hash) = (draft.Name, draft.Hash);
        lock (_gate)
        {
            if (_known.TryGetValue((name, hash), out var known))
            {
                known.Times++;
                draft.Discard();
                return known.Reference;
            }

            var served = new ServedBlock(draft.Block, draft.Token, draft.File, new ReaderChain());
            var reference = new BlobReference(name, draft.File.Bytes, hash) { Location = place(draft.Block, draft.Token, draft.File.Path).ToText() };
            _known[(name, hash)] = new Publication(served, reference);
            blocks.Add(served);
            return reference;
        }
    }

    /// <summary>Takes a publication back.</summary>
    /// <returns>The readers of one that is gone now; null when nothing is.</returns>
    public ReaderChain? Withdraw(BlobReference blob, Guid block)
    {
        lock (_gate)
        {
            var key = (blob.Name, blob.Hash);
            if (!_known.TryGetValue(key, out var known) || known.Served.Block != block || --known.Times > 0)
                return null;
            _known.Remove(key);
            return Remove(known);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            foreach (var known in _known.Values)
                Remove(known);
            _known.Clear();
            pool.Dispose();
        }
    }

    // Readers that are at it hold the file, which stays without a name until the last is done.
    private ReaderChain Remove(Publication known)
    {
        blocks.Remove(known.Served.Block, known.Served.File);
        traffic.Forget(known.Served.Block);
        known.Served.Chain!.Close();
        pool.Give(known.Served.File);
        return known.Served.Chain;
    }

    private sealed class Publication(ServedBlock served, BlobReference reference)
    {
        public ServedBlock Served => served;

        public BlobReference Reference => reference;

        public int Times { get; set; } = 1;
    }
}
