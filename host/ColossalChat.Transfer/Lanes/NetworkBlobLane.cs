using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// The lane between processes: shared memory within one machine, sockets between machines. A publication is copied once,
/// into a file that lives in memory; readers of the same machine copy from it, others come to the port. Of each other
/// machine one process fetches, for all of that machine, and readers are chained, so that the publisher sends a block about
/// once however many read it. Every chunk and the whole are checked against their hashes. Safe to use from several threads;
/// any number of processes of one machine may have one.
/// </summary>
public sealed class NetworkBlobLane : IBlobLane, IDisposable
{
    private readonly LaneSettings _settings;
    private readonly INodeLog _log;
    private readonly string _machine;
    private readonly LaneFolder _folder;
    private readonly LaneFolder? _spill;
    private readonly LaneBlocks _blocks = new();
    private readonly LaneTraffic _traffic = new();
    private readonly LaneServer _server;
    private readonly Publications _publications;
    private readonly Spools _spools;
    private readonly TlsIdentity? _identity;
    private bool _isDisposed;

    /// <summary>Makes the folders, removes those of processes that are gone, and listens.</summary>
    /// <param name="settings">See <see cref="LaneSettings.Problems"/>.</param>
    /// <param name="log">Takes remarks.</param>
    /// <exception cref="UserErrorException">Some settings are wrong; the message has all problems.</exception>
    /// <exception cref="IOException">The port is taken, or no folder can be made.</exception>
    public NetworkBlobLane(LaneSettings settings, INodeLog log)
    {
        var problems = settings.Problems().ToArray();
        if (problems.Length > 0)
            throw new UserErrorException(string.Join(' ', problems));
        (_settings, _log, _identity) = (settings, log, settings.Tls?.Load());
        _machine = settings.MachineId.Length > 0 ? settings.MachineId : ThisMachine();
        _folder = LaneFolder.Create(settings.MemoryFolder.Length > 0 ? settings.MemoryFolder : MappedSegment.Folder);
        try
        {
            _spill = LaneFolder.Create(settings.SpillFolder.Length > 0 ? settings.SpillFolder : Path.GetTempPath());
            _server = new LaneServer(settings, _blocks, _traffic, _identity, log);
        }
        catch
        {
            _spill?.Dispose();
            _folder.Dispose();
            _identity?.Dispose();
            throw;
        }

        _publications = new Publications([_folder, _spill], new BlobPool(settings.Reserve), _blocks, _traffic, log);
        _spools = new Spools(settings, _folder, _machine, _blocks, _server, log);
    }

    /// <summary>The port it listens on.</summary>
    public int Port => _server.Port;

    /// <summary>What it has moved so far.</summary>
    public LaneCounters Counters => _traffic.Now;

    /// <summary>What it has moved of one block; zeros when it does not have it, or no longer.</summary>
    public LaneCounters CountersOf(BlobReference blob) => LaneLocation.Parse(blob.Location) is { } location ? _traffic.Of(location.Block) : default;

    /// <inheritdoc/>
    public BlobReference Publish(string name, ReadOnlySpan<byte> content)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        var draft = _publications.Begin(name, content.Length);
        try
        {
            for (var chunk = 0; chunk < draft.File.Chunks; chunk++)
                draft.Add(chunk, content.Slice(chunk * BlobFile.ChunkLength, draft.File.LengthOf(chunk)));
        }
        catch
        {
            draft.Discard();
            throw;
        }

        return _publications.Finish(draft, Place);
    }

    /// <inheritdoc/>
    public BlobReference Publish(string name, Stream content, long bytes)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        var draft = _publications.Begin(name, bytes);
        try
        {
            var buffer = GC.AllocateUninitializedArray<byte>((int)Math.Min(bytes, BlobFile.ChunkLength));
            for (var chunk = 0; chunk < draft.File.Chunks; chunk++)
            {
                var piece = buffer.AsSpan(0, draft.File.LengthOf(chunk));
                content.ReadExactly(piece);
                draft.Add(chunk, piece);
            }
        }
        catch
        {
            draft.Discard();
            throw;
        }

        return _publications.Finish(draft, Place);
    }

    /// <inheritdoc/>
    public void Fetch(BlobReference blob, Span<byte> destination, CancellationToken cancel)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        cancel.ThrowIfCancellationRequested();
        if (destination.Length != blob.Bytes)
            throw new ArgumentException($"Block '{blob.Name}' has {blob.Bytes} bytes; the destination has {destination.Length}.", nameof(destination));
        var location = LaneLocation.Parse(blob.Location)
            ?? throw new IOException($"Block '{blob.Name}' was not published by a lane between processes: its location is '{blob.Location}'. All nodes of a run must use the same kind of lane.");
        if (location.Machine == _machine && location.Path.Length > 0 && BlobFile.TryOpen(location.Path, location.Block, location.Token, blob.Bytes) is { } file)
        {
            using (file)
                BlobCopy.Whole(file, blob, destination, cancel);
            _traffic.Shared(destination.Length);
            return;
        }

        var spool = _spools.Enter(location, blob.Bytes);
        try
        {
            FetchThrough(spool, blob, destination, cancel);
        }
        finally
        {
            _spools.Leave(spool);
        }
    }

    /// <inheritdoc/>
    public void Withdraw(BlobReference blob)
    {
        if (LaneLocation.Parse(blob.Location) is not { } location)
            return;
        if (_publications.Withdraw(blob, location.Block) is { } chain)
            _server.LetGo(chain);
    }

    /// <summary>Withdraws everything and stops listening; fetches that go on elsewhere look for other sources.</summary>
    public void Dispose()
    {
        if (_isDisposed)
            return;
        _isDisposed = true;
        _server.Dispose();
        _spools.Dispose();
        _publications.Dispose();
        _folder.Dispose();
        _spill?.Dispose();
        _identity?.Dispose();
    }

    private void FetchThrough(Spool spool, BlobReference blob, Span<byte> destination, CancellationToken cancel)
    {
        var (first, hash) = (0, new BlockHash(BlobFile.ChunksOf(blob.Bytes)));
        if (spool.File is { } file)
        {
            // Chunks that another process of this machine brings; the carrier brings the rest.
            var copy = new BlobCopy(file, blob, hash, _settings.Deadline);
            IDisposable? carrying = null;
            while (!copy.TryNext(destination, cancel) && (carrying = spool.TryCarry()) is null)
                copy.AwaitNext();
            // Whoever carried before may have brought more between our look and our turn.
            copy.TryNext(destination, cancel);
            first = copy.Next;
            _traffic.Shared(Math.Min((long)first * BlobFile.ChunkLength, blob.Bytes));
            using (carrying)
                if (first < file.Chunks)
                    Carry(spool, blob, hash, destination, first, cancel);
            if (!file.IsVerified)
                hash.Check(blob);
            file.IsVerified = true;
            return;
        }

        Carry(spool, blob, hash, destination, 0, cancel);
        hash.Check(blob);
    }

    private void Carry(Spool spool, BlobReference blob, BlockHash hash, Span<byte> destination, int first, CancellationToken cancel)
    {
        using var reader = new LaneReader(blob, spool, hash, new ReaderDesk(_settings, _traffic, _log, Port, _identity), cancel);
        _spools.Serve(spool);
        _spools.Keep(spool, reader.Run(destination, first));
    }

    private LaneLocation Place(Guid block, byte[] token, string path) =>
        new(_machine, _settings.AdvertisedHost.Length > 0 ? _settings.AdvertisedHost : _settings.Host, Port, block, token, path);

    // Containers of one machine share its boot, and not always its memory folder: whether the file is there shows that.
    private static string ThisMachine()
    {
        const string boot = "/proc/sys/kernel/random/boot_id";
        return File.Exists(boot) ? File.ReadAllText(boot).Trim() : Environment.MachineName;
    }
}
