using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>The blocks of other machines that this process reads or serves. Safe to use from several threads.</summary>
internal sealed class Spools(LaneSettings settings, LaneFolder folder, string machine, LaneBlocks blocks, LaneServer server, INodeLog log) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<Guid, Spool> _known = [];
    private bool _isDisposed;

    /// <summary>The machine's file for a block; <see cref="Leave"/> it afterwards.</summary>
    public Spool Enter(LaneLocation location, long bytes)
    {
        if (bytes < settings.ChainFrom)
            return Spool.Without(location);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (!_known.TryGetValue(location.Block, out var spool))
            {
                spool = Spool.Open(location, bytes, folder.SharedFor(machine, location.Block), settings.Silence);
                if (spool.File is null)
                    log.Warning($"This machine has no room for a block of {bytes} bytes in memory; each reader fetches it for itself.");
                _known[location.Block] = spool;
            }

            spool.Users++;
            return spool;
        }
    }

    /// <summary>Lets readers of other machines have it, as far as it is here.</summary>
    public void Serve(Spool spool)
    {
        if (spool.File is { } file)
            blocks.Add(new ServedBlock(spool.Location.Block, spool.Location.Token, file, Chain: null));
    }

    /// <summary>Keeps it for other readers while the publisher's connection stays.</summary>
    public void Keep(Spool spool, LaneLine? publisher)
    {
        if (publisher is null)
            return;
        lock (_gate)
        {
            if (!_isDisposed && spool.File is not null && server.Park(publisher, () => Drop(spool)))
                spool.Registration = publisher;
            else
                publisher.Dispose();
        }
    }

    /// <summary>One fetch less.</summary>
    public void Leave(Spool spool)
    {
        lock (_gate)
        {
            spool.Users--;
            Release(spool);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            foreach (var spool in _known.Values.ToArray())
            {
                spool.Registration?.Dispose();
                spool.Registration = null;
                Release(spool);
            }
        }
    }

    // The publisher has withdrawn it, or is gone.
    private void Drop(Spool spool)
    {
        lock (_gate)
        {
            spool.Registration?.Dispose();
            spool.Registration = null;
            Release(spool);
        }
    }

    private void Release(Spool spool)
    {
        if (spool.Users > 0 || spool.Registration is not null || _known.GetValueOrDefault(spool.Location.Block) != spool)
            return;
        _known.Remove(spool.Location.Block);
        blocks.Remove(spool.Location.Block, spool.File);
        spool.Dispose();
    }
}
