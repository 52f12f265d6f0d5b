using System.Runtime.InteropServices;
using ColossalChat.Contracts;

namespace ColossalChat.Zero;

/// <summary>What ranks count; each only grows.</summary>
internal enum Progress
{
    /// <summary>Operations begun.</summary>
    Begun = 0,

    /// <summary>Pieces laid out for the others.</summary>
    Written = 1,

    /// <summary>Pieces of which this rank's part is summed.</summary>
    Summed = 2,

    /// <summary>Pieces taken from the others.</summary>
    Taken = 3,

    /// <summary>Operations left, done or failed.</summary>
    Left = 4,
}

/// <summary>
/// Counters of all ranks in shared memory, each in a cache line of its own, what each rank asks for, and the addresses it
/// shows. A rank that waits spins a little, then sleeps until somebody counts: with more ranks than cores, spinning would
/// only keep the awaited rank from its core.
/// </summary>
internal sealed unsafe class ProgressBoard
{
    private const int Line = 64;
    private const int Block = 12 * Line;
    private const int Counters = 5;
    private const int Bell = Counters * Line;
    private const int IsAsleep = Bell + Line;
    private const int Call = IsAsleep + Line;
    private const int Shown = Call + (2 * Line);

    // About 0.1 milliseconds, the time of a piece. Yielding instead of sleeping costs far more on a busy machine: it hands a
    // whole time slice to whoever else wants the core.
    private const int Spins = 400;
    private const int NapMilliseconds = 20;
    private static readonly int s_cores = Environment.ProcessorCount;
    private readonly RankPlace _place;
    private readonly byte* _base;
    private readonly int _spins;

    /// <param name="place">Whose view.</param>
    /// <param name="segment">Of <see cref="BytesFor"/> bytes at least; zero at first.</param>
    public ProgressBoard(RankPlace place, ISharedSegment segment)
    {
        _place = place;
        _base = (byte*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref MemoryMarshal.GetReference(segment.Span(0, BytesFor(place.Ranks))));
        _spins = place.Ranks <= s_cores ? Spins : 0;
    }

    /// <summary>True when there is a core for every rank, so that ranks may wait for each other without giving theirs up.</summary>
    public bool HasCoreForEach => _spins > 0;

    /// <summary>Bytes of a board.</summary>
    public static int BytesFor(int ranks) => (Block * ranks) + (Line * ranks * ranks);

    /// <summary>Sets this rank's counter and wakes who sleeps. What was written to memory before is seen by whoever sees the count.</summary>
    public void Count(Progress progress, long value)
    {
        Volatile.Write(ref *Counter(_place.Rank, progress), value);
        // The count must be out before we look who sleeps, or a rank that falls asleep just now is missed.
        Interlocked.MemoryBarrier();
        for (var rank = 0; rank < _place.Ranks; rank++)
            if (Volatile.Read(ref *Word(rank, IsAsleep)) != 0)
                Futex.Ring(Word(rank, Bell));
    }

    /// <summary>Ranks whose counter is below a value.</summary>
    public int[] Behind(Progress progress, long value) =>
        [.. Enumerable.Range(0, _place.Ranks).Where(rank => !HasReached(rank, progress, value))];

    /// <summary>Waits until all ranks have counted so far.</summary>
    /// <param name="progress">Which counter.</param>
    /// <param name="value">Awaited.</param>
    /// <param name="look">Called now and then while waiting; throws to end it.</param>
    public void Await(Progress progress, long value, Action look)
    {
        for (var rank = 0; rank < _place.Ranks; rank++)
            Await(rank, progress, value, look);
    }

    /// <summary>Waits until one rank has counted so far.</summary>
    public void Await(int rank, Progress progress, long value, Action look)
    {
        for (var spin = 0; spin < _spins; spin++)
        {
            if (HasReached(rank, progress, value))
                return;
            Thread.SpinWait(10);
        }

        while (!HasReached(rank, progress, value))
        {
            look();
            Nap(rank, progress, value);
        }
    }

    /// <summary>Lays out what this rank asks for. Two calls lie side by side: a rank may begin the next before all have read this.</summary>
    public void Ask(CollectiveCall call) => *CallOf(_place.Rank, call.Sequence) = call;

    /// <summary>What another rank asks for; it must have begun.</summary>
    public CollectiveCall Asked(int rank, long sequence) => *CallOf(rank, sequence);

    /// <summary>Shows two addresses to ranks that share this one's memory.</summary>
    public void Show(byte* first, byte* second) => (Address(_place.Rank)[0], Address(_place.Rank)[1]) = ((nint)first, (nint)second);

    /// <summary>The addresses of another rank.</summary>
    public byte* ShownFirst(int rank) => (byte*)Address(rank)[0];

    /// <summary>The addresses of another rank.</summary>
    public byte* ShownSecond(int rank) => (byte*)Address(rank)[1];

    /// <summary>Shows a number to one other rank, in a cache line for the two alone.</summary>
    public void Throw(int peer, long number) => Volatile.Write(ref *Ball(_place.Rank, peer), number);

    /// <summary>What another rank last threw to this one.</summary>
    public long Thrown(int peer) => Volatile.Read(ref *Ball(peer, _place.Rank));

    private bool HasReached(int rank, Progress progress, long value) => Volatile.Read(ref *Counter(rank, progress)) >= value;

    private void Nap(int rank, Progress progress, long value)
    {
        var bell = Word(_place.Rank, Bell);
        var rung = Volatile.Read(ref *bell);
        Interlocked.Exchange(ref *Word(_place.Rank, IsAsleep), 1);
        if (!HasReached(rank, progress, value))
            Futex.Sleep(bell, rung, NapMilliseconds);
        Volatile.Write(ref *Word(_place.Rank, IsAsleep), 0);
    }

    private byte* BlockOf(int rank) => _base + ((long)rank * Block);

    private long* Counter(int rank, Progress progress) => (long*)(BlockOf(rank) + ((int)progress * Line));

    private int* Word(int rank, int offset) => (int*)(BlockOf(rank) + offset);

    private CollectiveCall* CallOf(int rank, long sequence) => (CollectiveCall*)(BlockOf(rank) + Call + (sequence % 2 * Line));

    private nint* Address(int rank) => (nint*)(BlockOf(rank) + Shown);

    private long* Ball(int from, int to) => (long*)(_base + ((long)Block * _place.Ranks) + ((((long)from * _place.Ranks) + to) * Line));
}
