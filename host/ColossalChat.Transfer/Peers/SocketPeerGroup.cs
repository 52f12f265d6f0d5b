using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>A group of processes, connected each with each.</summary>
internal sealed class SocketPeerGroup : IPeerGroup
{
    private readonly PeerLines?[] _lines;
    private readonly IPeerLink?[] _links;
    private readonly ControlLines _control;
    private readonly int[] _others;
    private readonly HashSet<string> _segments = [];

    /// <param name="place">This rank's place.</param>
    /// <param name="lines">By rank, null at this rank's own; owned from now on.</param>
    public SocketPeerGroup(RankPlace place, PeerLines?[] lines)
    {
        (Place, _lines) = (place, lines);
        _control = new ControlLines(place, [.. lines.Select(pair => pair?.Control)]);
        _others = [.. Enumerable.Range(0, place.Ranks).Where(rank => rank != place.Rank)];
        _links = [.. lines.Select((pair, peer) => pair is null ? null : new SocketLink(place, peer, pair.Data!, _control))];
    }

    /// <inheritdoc/>
    public RankPlace Place { get; }

    /// <inheritdoc/>
    public bool SharesAddressSpace => Place.Ranks == 1;

    /// <inheritdoc/>
    public IReadOnlyList<int> Gone => _control.Gone;

    /// <inheritdoc/>
    public string? BrokenBy => _control.BrokenBy;

    /// <summary>Returns when all ranks have called it; false when the deadline passes or somebody leaves first.</summary>
    public bool AwaitAll(Deadline deadline, out int[] missing)
    {
        const string complete = "complete";
        foreach (var peer in _others)
            _control.Post(peer, complete, "");
        missing = _others;
        try
        {
            _control.Await(_others, complete, deadline, out missing);
            return missing.Length == 0;
        }
        catch (IOException)
        {
            // Somebody gave up while the others finished: those who are left meet again. But only who has met everybody can
            // break the group, so then it did meet, and its users learn the reason.
            return _control.BrokenBy is not null;
        }
    }

    /// <inheritdoc/>
    public IPeerLink LinkTo(int peer)
    {
        Places.CheckPeer(Place, peer);
        return _links[peer]!;
    }

    /// <inheritdoc/>
    public ISharedSegment? SharedSegment(string name, long bytes, TimeSpan deadline)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 1);
        if (!_segments.Add(name))
            throw new ArgumentException($"Rank {Place.Rank} of group '{Place.Group}' has asked for segment '{name}' before.", nameof(name));
        return new SegmentOffer(Place, _control, _others, name, bytes, new Deadline(deadline)).Settle();
    }

    /// <inheritdoc/>
    public void Abort(string reason) => _control.Abort(reason);

    /// <inheritdoc/>
    public void Dispose()
    {
        _control.Dispose();
        foreach (var pair in _lines)
            pair?.Data?.Dispose();
    }
}
