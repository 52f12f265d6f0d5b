using System.Collections.Concurrent;
using System.Security.Cryptography;
using ColossalChat.Contracts;

namespace ColossalChat.PluginKit;

/// <summary>Blobs in memory.</summary>
public sealed class TestBlobLane : IBlobLane
{
    private readonly ConcurrentDictionary<BlobReference, byte[]> _blobs = [];

    /// <summary>Blobs not withdrawn yet.</summary>
    public int Count => _blobs.Count;

    public BlobReference Publish(string name, ReadOnlySpan<byte> content)
    {
        // Any hash will do inside one test; the real lane's comes from a package that the kit does without.
        var blob = new BlobReference(name, content.Length, Convert.ToHexStringLower(SHA256.HashData(content))[..32]);
        _blobs[blob] = content.ToArray();
        return blob;
    }

    public BlobReference Publish(string name, Stream content, long bytes)
    {
        var buffer = new byte[bytes];
        content.ReadExactly(buffer);
        return Publish(name, buffer);
    }

    public void Fetch(BlobReference blob, Span<byte> destination, CancellationToken cancel)
    {
        if (!_blobs.TryGetValue(blob, out var content))
            throw new IOException($"Blob {blob.Name} is not in the lane.");
        if (destination.Length != content.Length)
            throw new ArgumentException($"Blob {blob.Name} has {content.Length} bytes, the destination {destination.Length}.", nameof(destination));
        content.CopyTo(destination);
    }

    public void Withdraw(BlobReference blob) => _blobs.TryRemove(blob, out _);
}

/// <summary>Groups of one rank, which link to nobody.</summary>
public sealed class OneRankPeerLinks : IPeerLinks
{
    public IPeerGroup Join(RankPlace place, TimeSpan deadline) => place.Ranks == 1
        ? new Group(place)
        : throw new TimeoutException($"Group {place.Group}: the test node is alone; ranks 1 to {place.Ranks - 1} did not come.");

    private sealed class Group(RankPlace place) : IPeerGroup
    {
        public RankPlace Place => place;

        public bool SharesAddressSpace => true;

        public IReadOnlyList<int> Gone => [];

        public string? BrokenBy { get; private set; }

        public IPeerLink LinkTo(int peer) => throw new ArgumentOutOfRangeException(nameof(peer), peer, "A group of one has no links.");

        public ISharedSegment? SharedSegment(string name, long bytes, TimeSpan deadline) => null;

        public void Abort(string reason) => BrokenBy ??= reason;

        public void Dispose()
        {
        }
    }
}
