using System.Buffers.Binary;
using System.IO.Hashing;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>A block is not to be had any more, however often one asks.</summary>
internal sealed class BlockGoneException(string message) : IOException(message);

/// <summary>What readers share.</summary>
internal sealed record ReaderDesk(LaneSettings Settings, LaneTraffic Traffic, INodeLog Log, int Port, TlsIdentity? Identity);

/// <summary>
/// Fetches a block over sockets: asks the publisher, which serves it or names a reader that has it, and goes on elsewhere
/// from the chunk reached when that one fails. A chunk that does not have its hash is asked for again. Used by one thread.
/// </summary>
internal sealed class LaneReader(BlobReference blob, Spool spool, BlockHash hashing, ReaderDesk desk, CancellationToken cancel) : IDisposable
{
    private const int MostBroken = 2;

    // A publisher names others as long as it knows any; one that names dead ones without end is left like one that is silent.
    private const int MostLost = 8;

    // What a call may take from the socket and still be in the cache when it is hashed.
    private const int HashedPiece = 1 << 18;
    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(20);
    private readonly LaneSettings _settings = desk.Settings;
    private readonly Deadline _deadline = new(desk.Settings.Deadline);
    private readonly bool[] _here = new bool[BlobFile.ChunksOf(blob.Bytes)];
    private Deadline _patience = new(desk.Settings.Silence);
    private TimeSpan _pause = s_firstPause;
    private LaneLine? _publisher;
    private LaneLine? _source;
    private Guid _parent;
    private int _broken;
    private int _lost;

    /// <summary>Fills the destination from a chunk on, and the spool where it has a file.</summary>
    /// <returns>The connection to the publisher, which knows that we have everything; null when it is gone.</returns>
    /// <exception cref="IOException">Nobody has the block, or nobody sent anything for too long.</exception>
    public LaneLine? Run(Span<byte> destination, int first)
    {
        while (Next(ref first) is { } range)
        {
            cancel.ThrowIfCancellationRequested();
            if (_deadline.HasPassed)
                throw new IOException($"Block '{blob.Name}' did not come within {_settings.Deadline}.");
            try
            {
                if (_source is null)
                    Attach();
                else
                    Receive(destination, range.First, range.Count);
            }
            catch (IOException error) when (error is not BlockGoneException)
            {
                Detach(error);
            }
        }

        return Finish();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _publisher?.Dispose();
        _source?.Dispose();
    }

    // The next run of chunks that are not here; they come in order, so it ends at the end or at one that came before.
    private (int First, int Count)? Next(ref int first)
    {
        while (first < _here.Length && _here[first])
            first++;
        var end = first;
        while (end < _here.Length && !_here[end])
            end++;
        return end > first ? (first, end - first) : null;
    }

    private void Attach()
    {
        LaneParent? parent;
        if (_publisher is null)
        {
            _publisher = LaneDial.Call(spool.Location.Host, spool.Location.Port, _settings, desk.Identity);
            parent = Ask(_publisher, FrameKind.Hello, Hello(ReaderPurpose.Join).ToBytes());
        }
        else
        {
            // Until it answers it is the publisher that may fail, and no reader that it named.
            (var lost, _parent) = (_parent, Guid.Empty);
            parent = Ask(_publisher, FrameKind.Lost, lost.ToByteArray());
        }

        if (parent is null)
        {
            (_source, _parent) = (_publisher, Guid.Empty);
            return;
        }

        _parent = parent.Id;
        var line = LaneDial.Call(parent.Host, parent.Port, _settings, desk.Identity);
        try
        {
            if (Ask(line, FrameKind.Hello, Hello(ReaderPurpose.Read).ToBytes()) is not null)
                throw new IOException("A reader redirects; only publishers may.");
        }
        catch
        {
            line.Dispose();
            throw;
        }

        _source = line;
    }

    private LaneHello Hello(ReaderPurpose purpose) => new(
        purpose, spool.Location.Block, spool.Location.Token, spool.Reader, _settings.AdvertisedHost, spool.File is null ? 0 : desk.Port);

    // Null for "ask me for chunks".
    private LaneParent? Ask(LaneLine line, FrameKind kind, byte[] content)
    {
        line.Send(kind, content, _settings.Silence);
        var (answer, length) = line.ReceiveHead(_settings.Silence, cancel);
        var words = line.ReceiveWords(Math.Min(length, LaneLine.LongestWords), _settings.Silence, cancel);
        return answer switch
        {
            FrameKind.Serve => null,
            FrameKind.Redirect when LaneParent.Parse(words) is { } parent => parent,
            FrameKind.Gone when line == _publisher => throw new BlockGoneException($"Block '{blob.Name}' with hash {blob.Hash} is gone: it was withdrawn."),
            _ => throw new IOException($"A lane answered {answer} with {length} bytes to {kind}."),
        };
    }

    private void Receive(Span<byte> destination, int first, int count)
    {
        Span<byte> want = stackalloc byte[8];
        BinaryPrimitives.WriteInt32LittleEndian(want, first);
        BinaryPrimitives.WriteInt32LittleEndian(want[4..], count);
        _source!.Send(FrameKind.Want, want, _settings.Silence);
        for (var chunk = first; chunk < first + count;)
        {
            if (_deadline.HasPassed)
                return;
            var (kind, length) = _source.ReceiveHead(_settings.Silence, cancel);
            if (kind == FrameKind.Wait && length == 0)
            {
                _patience = new Deadline(_settings.Silence);
                continue;
            }

            var start = (long)chunk * BlobFile.ChunkLength;
            var bytes = destination.Slice((int)start, (int)Math.Min(BlobFile.ChunkLength, blob.Bytes - start));
            if (kind != FrameKind.Chunk || length != bytes.Length + sizeof(ulong))
                throw new IOException($"A lane sent {kind} with {length} bytes where chunk {chunk} of block '{blob.Name}' was asked for.");
            var hash = _source.ReceiveHash(_settings.Silence, cancel);
            Take(chunk, bytes, ReceiveHashed(bytes) == hash, hash);
            chunk++;
        }
    }

    private ulong ReceiveHashed(Span<byte> bytes)
    {
        var hash = new XxHash3();
        for (var done = 0; done < bytes.Length; done += HashedPiece)
        {
            var piece = bytes.Slice(done, Math.Min(HashedPiece, bytes.Length - done));
            _source!.ReceiveBytes(piece, _settings.Silence, cancel);
            hash.Append(piece);
        }

        return hash.GetCurrentHashAsUInt64();
    }

    private void Take(int chunk, ReadOnlySpan<byte> bytes, bool isWhole, ulong hash)
    {
        desk.Traffic.Received(spool.Location.Block, bytes.Length);
        if (!isWhole)
        {
            desk.Traffic.Broken(spool.Location.Block);
            desk.Log.Warning($"Chunk {chunk} of block '{blob.Name}' came broken; it is fetched again.");
            if (++_broken > MostBroken)
                throw new IOException($"{_broken} chunks of block '{blob.Name}' came broken from one source.");
            return;
        }

        if (spool.File is { } file)
        {
            file.Write(file.PlaceOf(chunk), bytes);
            file.MarkReady(chunk, hash);
        }

        hashing.Set(chunk, hash);
        _here[chunk] = true;
        (_patience, _pause, _lost) = (new Deadline(_settings.Silence), s_firstPause, 0);
    }

    // After a failure: which connection is of no use any more, and is there still hope?
    private void Detach(IOException error)
    {
        var isParent = _parent != Guid.Empty;
        desk.Log.Debug($"Block '{blob.Name}': {(isParent ? $"reader {_parent:N}" : "the publisher")} failed: {error.Message}");
        _broken = 0;
        if (_source != _publisher)
            _source?.Dispose();
        _source = null;
        if (isParent && _publisher is not null && ++_lost <= MostLost && TellsLost())
            return;
        _publisher?.Dispose();
        (_publisher, _parent) = (null, Guid.Empty);
        if (_patience.HasPassed)
            throw new IOException($"Block '{blob.Name}' cannot be fetched from {spool.Location.Host}:{spool.Location.Port}; nothing came for {_settings.Silence}: {error.Message}", error);
        if (cancel.WaitHandle.WaitOne(_pause))
            return;
        _pause = TimeSpan.FromTicks(Math.Min(2 * _pause.Ticks, _settings.Silence.Ticks / 4));
    }

    // True when the publisher's connection looks alive: then it names another parent.
    private bool TellsLost() => !_publisher!.Wire.Socket.Poll(0, System.Net.Sockets.SelectMode.SelectRead) || _publisher.Wire.Socket.Available > 0;

    private LaneLine? Finish()
    {
        if (_source != _publisher)
            _source?.Dispose();
        _source = null;
        try
        {
            _publisher?.Send(FrameKind.Done, [], _settings.Silence);
        }
        catch (IOException error)
        {
            desk.Log.Debug($"The publisher of block '{blob.Name}' did not hear that it is here: {error.Message}");
            return null;
        }

        (_publisher, var line) = (null, _publisher);
        return line;
    }
}
