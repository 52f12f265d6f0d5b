using System.Diagnostics;
using System.Numerics;
using ColossalChat.Contracts;

namespace ColossalChat.Zero;

/// <summary>
/// Which other ranks run on cores that share a cache with this rank's core, by the time a word takes there and back: about
/// 50 nanoseconds within a cache, 300 between two. Measured again now and then, because virtual machines are moved between
/// cores while they run. A wrong answer costs time and nothing else, so nobody waits long for one.
/// </summary>
/// <param name="place">Whose view.</param>
/// <param name="board">Where words are thrown to and fro.</param>
internal sealed class Neighbours(RankPlace place, ProgressBoard board)
{
    private const int Trips = 16;
    private const int Samples = 4;
    private const double NearNanoseconds = 170;

    // About 0.1 milliseconds. The others measure at the same time.
    private const int Patience = 100_000;
    private readonly bool[] _isNear = new bool[place.Ranks];
    private long _thrown;

    /// <summary>True when another rank shares a cache with this one.</summary>
    public bool IsNear(int rank) => _isNear[rank];

    /// <summary>True when all others do.</summary>
    public bool AreAllNear { get; private set; }

    /// <summary>Looks again. All ranks call it together, and each has a core.</summary>
    public void Measure()
    {
        // A tournament: at every distance each rank meets one opponent.
        for (var distance = 1; distance < BitOperations.RoundUpToPowerOf2((uint)place.Ranks); distance++)
            if ((place.Rank ^ distance) is var peer && peer < place.Ranks)
                _isNear[peer] = NanosecondsTo(peer) <= NearNanoseconds;
        AreAllNear = Enumerable.Range(0, place.Ranks).All(rank => rank == place.Rank || _isNear[rank]);
        _thrown += Samples * Trips;
    }

    // The shortest sample counts: everything that disturbs makes trips longer.
    private double NanosecondsTo(int peer)
    {
        var shortest = double.PositiveInfinity;
        for (var sample = 0; sample < Samples; sample++)
        {
            var (first, start) = (_thrown + (sample * Trips) + 1, 0L);
            for (var trip = first; trip < first + Trips; trip++)
            {
                if (!MakeTrip(peer, trip))
                    return double.PositiveInfinity;
                if (trip == first)
                    start = Stopwatch.GetTimestamp();
            }

            shortest = Math.Min(shortest, Stopwatch.GetElapsedTime(start).TotalNanoseconds / (Trips - 1));
        }

        return shortest;
    }

    private bool MakeTrip(int peer, long trip)
    {
        if (place.Rank < peer)
            board.Throw(peer, trip);
        for (var look = 0; board.Thrown(peer) < trip; look++)
            if (look == Patience)
                return false;
        if (place.Rank > peer)
            board.Throw(peer, trip);
        return true;
    }
}
