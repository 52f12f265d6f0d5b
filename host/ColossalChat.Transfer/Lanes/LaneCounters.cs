using System.Collections.Concurrent;

namespace ColossalChat.Transfer;

/// <summary>What a lane has moved so far.</summary>
/// <param name="Sent">Bytes of content sent over sockets.</param>
/// <param name="Received">Bytes of content received over sockets.</param>
/// <param name="Shared">Bytes of content copied out of memory that another lane of this machine filled.</param>
/// <param name="Redirected">Readers sent on to other readers.</param>
/// <param name="Refused">Connections closed without an answer: a wrong token or certificate, nonsense, too slow, too many.</param>
/// <param name="Broken">Chunks that did not have their hash, and were asked for again.</param>
public readonly record struct LaneCounters(long Sent, long Received, long Shared, long Redirected, long Refused, long Broken);

/// <summary>Counts; safe to use from several threads.</summary>
internal sealed class LaneTraffic
{
    private readonly ConcurrentDictionary<Guid, LaneTraffic> _blocks = [];
    private long _sent;
    private long _received;
    private long _shared;
    private long _redirected;
    private long _refused;
    private long _broken;

    public LaneCounters Now => new(
        Interlocked.Read(ref _sent), Interlocked.Read(ref _received), Interlocked.Read(ref _shared), Interlocked.Read(ref _redirected),
        Interlocked.Read(ref _refused), Interlocked.Read(ref _broken));

    public LaneCounters Of(Guid block) => _blocks.TryGetValue(block, out var traffic) ? traffic.Now : default;

    /// <summary>Counts of one block are kept while the lane has the block.</summary>
    public void Forget(Guid block) => _blocks.TryRemove(block, out _);

    public void Sent(Guid block, long bytes)
    {
        Interlocked.Add(ref _sent, bytes);
        Interlocked.Add(ref For(block)._sent, bytes);
    }

    public void Received(Guid block, long bytes)
    {
        Interlocked.Add(ref _received, bytes);
        Interlocked.Add(ref For(block)._received, bytes);
    }

    public void Redirected(Guid block)
    {
        Interlocked.Increment(ref _redirected);
        Interlocked.Increment(ref For(block)._redirected);
    }

    public void Broken(Guid block)
    {
        Interlocked.Increment(ref _broken);
        Interlocked.Increment(ref For(block)._broken);
    }

    public void Shared(long bytes) => Interlocked.Add(ref _shared, bytes);

    public void Refused() => Interlocked.Increment(ref _refused);

    private LaneTraffic For(Guid block) => _blocks.GetOrAdd(block, _ => new LaneTraffic());
}
