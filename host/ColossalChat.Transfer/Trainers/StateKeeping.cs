using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// How a process keeps copies of its ranks' states: in memory up to a limit, and on a disk beyond it. One for all ranks of
/// the process; safe to use from several threads.
/// </summary>
/// <param name="mostMemory">Bytes that the process may hold, everything included, before copies go to a disk.</param>
/// <param name="note">Told what was written, in one sentence.</param>
public sealed class StateKeeping(long mostMemory, Action<string> note)
{
    private readonly Lock _lock = new();
    private long _held;

    /// <summary>Bytes of copies that are in memory now.</summary>
    public long Held
    {
        get
        {
            lock (_lock)
                return _held;
        }
    }

    // Links between ranks need room in the same place.
    private const long Reserve = 64L << 20;

    internal void Note(string sentence) => note(sentence);

    /// <summary>Takes memory for copies, if that much is allowed.</summary>
    internal bool TryTake(long bytes)
    {
        lock (_lock)
        {
            // Copies are files in memory, which the system does not count as the process's own.
            if (ProcessMemory.Now() + _held + bytes > mostMemory || new DriveInfo(MappedSegment.Folder).AvailableFreeSpace < bytes + Reserve)
                return false;
            _held += bytes;
            return true;
        }
    }

    /// <summary>Takes what is too little to ask for.</summary>
    internal void Take(long bytes)
    {
        lock (_lock)
            _held += bytes;
    }

    internal void Give(long bytes)
    {
        lock (_lock)
            _held -= bytes;
    }
}
