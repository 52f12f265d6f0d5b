using ColossalChat.Contracts;

namespace ColossalChat.Zero;

/// <summary>
/// A memory that several engines or ranks share. Whoever decides first takes an even share of what is left; what it took
/// counts for those that measured before.
/// </summary>
/// <param name="gauge">Bytes in use now.</param>
internal sealed class SharedRoom(Func<long> gauge)
{
    private readonly Lock _lock = new();
    private int _undecided;
    private long _taken;

    /// <summary>The host's memory, for all of this process.</summary>
    public static SharedRoom Host { get; } = new(ProcessMemory.Now);

    /// <summary>Bytes in use now.</summary>
    public long Used => gauge();

    /// <summary>One more will decide.</summary>
    /// <returns>What is taken so far, bytes.</returns>
    public long Enter()
    {
        lock (_lock)
        {
            _undecided++;
            return _taken;
        }
    }

    /// <summary>One that entered will not decide.</summary>
    public void Leave()
    {
        lock (_lock)
            _undecided--;
    }

    /// <summary>Decides.</summary>
    /// <param name="limit">Bytes that may be in use.</param>
    /// <param name="peak">Most that was in use.</param>
    /// <param name="takenBefore">What <see cref="Enter"/> gave.</param>
    /// <param name="take">Takes from the room it is given, bytes, and says how much; others wait.</param>
    public void Decide(long limit, long peak, long takenBefore, Func<long, long> take)
    {
        lock (_lock)
        {
            var room = (limit - peak - (_taken - takenBefore)) / _undecided;
            _undecided--;
            _taken += take(room);
        }
    }
}
