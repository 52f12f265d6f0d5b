using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>What the ranks of one met group have in common: pipes, segments, who is gone.</summary>
internal sealed class InProcessCircle
{
    private readonly object _gate = new();
    private readonly BytePipe?[,] _pipes;
    private readonly Dictionary<string, SegmentOffer> _offers = [];
    private readonly bool[] _isGone;
    private volatile string? _brokenBy;

    public InProcessCircle(string group, int ranks)
    {
        (Group, _isGone, _pipes) = (group, new bool[ranks], new BytePipe?[ranks, ranks]);
        for (var from = 0; from < ranks; from++)
            for (var to = 0; to < ranks; to++)
                _pipes[from, to] = from == to ? null : new BytePipe();
    }

    public string Group { get; }

    public string? BrokenBy => _brokenBy;

    public int[] Gone
    {
        get
        {
            lock (_gate)
                return [.. Enumerable.Range(0, _isGone.Length).Where(rank => _isGone[rank])];
        }
    }

    public BytePipe Pipe(int from, int to) => _pipes[from, to]!;

    public void Abort(string reason)
    {
        lock (_gate)
        {
            if (_brokenBy is not null)
                return;
            _brokenBy = reason;
            foreach (var pipe in _pipes)
                pipe?.Break();
            Monitor.PulseAll(_gate);
        }
    }

    public void Leave(int rank)
    {
        lock (_gate)
        {
            _isGone[rank] = true;
            for (var peer = 0; peer < _isGone.Length; peer++)
            {
                _pipes[rank, peer]?.Close();
                _pipes[peer, rank]?.Close();
            }

            Monitor.PulseAll(_gate);
        }
    }

    public NativeSegment Segment(RankPlace place, string name, long bytes, TimeSpan deadline)
    {
        var wait = new Deadline(deadline);
        lock (_gate)
        {
            if (!_offers.TryGetValue(name, out var offer))
                _offers[name] = offer = new SegmentOffer(bytes, place.Ranks);
            if (!offer.HasAsked.Add(place.Rank))
                throw new ArgumentException($"Rank {place.Rank} of group '{Group}' has asked for segment '{name}' before.", nameof(name));
            if (offer.Bytes != bytes)
                offer.Disagreement = $"Segment '{name}' of group '{Group}' has {bytes} bytes at rank {place.Rank} and {offer.Bytes} at others; all must agree.";
            Monitor.PulseAll(_gate);
            while (offer.HasAsked.Count < place.Ranks || offer.Disagreement is not null)
            {
                if (Refusal(place, name, offer, wait) is { } error)
                {
                    offer.Memory.Release();
                    throw error;
                }

                Monitor.Wait(_gate, wait.Milliseconds());
            }

            return new NativeSegment(offer.Memory);
        }
    }

    private Exception? Refusal(RankPlace place, string name, SegmentOffer offer, Deadline wait)
    {
        var missing = Enumerable.Range(0, place.Ranks).Where(rank => !offer.HasAsked.Contains(rank)).ToArray();
        var gone = missing.Where(rank => _isGone[rank]).ToArray();
        if (offer.Disagreement is { } disagreement)
            return new ArgumentException(disagreement);
        if (_brokenBy is { } reason)
            return Places.Broken(place, reason);
        if (gone.Length > 0)
            return new IOException($"Group '{Group}': rank(s) {string.Join(", ", gone)} left before segment '{name}' was made.");
        return wait.HasPassed
            ? new TimeoutException($"Group '{Group}': rank(s) {string.Join(", ", missing)} of {place.Ranks} did not ask for segment '{name}' within {wait.Span}.")
            : null;
    }

    // Guarded by the circle's gate; the memory counts its users by itself.
    private sealed class SegmentOffer(long bytes, int ranks)
    {
        public long Bytes { get; } = bytes;

        public NativeMemoryBlock Memory { get; } = new(bytes, ranks);

        public HashSet<int> HasAsked { get; } = [];

        public string? Disagreement { get; set; }
    }
}

/// <summary>One rank's side of a circle.</summary>
internal sealed class InProcessGroup(InProcessCircle circle, RankPlace place) : IPeerGroup
{
    public RankPlace Place => place;

    public bool SharesAddressSpace => true;

    public IReadOnlyList<int> Gone => circle.Gone;

    public string? BrokenBy => circle.BrokenBy;

    public IPeerLink LinkTo(int peer)
    {
        Places.CheckPeer(place, peer);
        return new Link(circle, place, peer);
    }

    public ISharedSegment? SharedSegment(string name, long bytes, TimeSpan deadline)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 1);
        return circle.Segment(place, name, bytes, deadline);
    }

    public void Abort(string reason) => circle.Abort(reason);

    public void Dispose() => circle.Leave(place.Rank);

    private sealed class Link(InProcessCircle circle, RankPlace place, int peer) : IPeerLink
    {
        public int Peer => peer;

        public void Send(ReadOnlySpan<byte> bytes, TimeSpan deadline)
        {
            var pipe = circle.Pipe(place.Rank, peer);
            var sent = pipe.Write(bytes, new Deadline(deadline));
            if (sent < bytes.Length || circle.BrokenBy is not null)
                throw Broken(pipe, $"took {sent} of {bytes.Length} bytes", deadline);
        }

        public void Receive(Span<byte> bytes, TimeSpan deadline)
        {
            var pipe = circle.Pipe(peer, place.Rank);
            var received = pipe.Read(bytes, new Deadline(deadline));
            if (received < bytes.Length || circle.BrokenBy is not null)
                throw Broken(pipe, $"sent {received} of {bytes.Length} bytes", deadline);
        }

        private Exception Broken(BytePipe pipe, string what, TimeSpan deadline) => (circle.BrokenBy, pipe.IsClosed) switch
        {
            ({ } reason, _) => Places.Broken(place, reason),
            (_, true) => new IOException($"Group '{place.Group}': the link of rank {place.Rank} to rank {peer} is closed; rank {peer} {what}."),
            _ => new TimeoutException($"Group '{place.Group}': rank {peer} {what} within {deadline} (seen from rank {place.Rank})."),
        };
    }
}
