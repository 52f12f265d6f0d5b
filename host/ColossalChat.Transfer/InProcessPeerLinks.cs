using System.Diagnostics;
using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// Links between ranks that are threads of one process. A group may meet again under the same name once all its ranks
/// have come. Safe to use from several threads.
/// </summary>
public sealed class InProcessPeerLinks : IPeerLinks
{
    private readonly object _gate = new();
    private readonly Dictionary<string, Meeting> _meetings = [];

    /// <inheritdoc/>
    public IReadOnlyList<IPeerLink?> Join(string group, int rank, int ranks, TimeSpan deadline)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(ranks, 1);
        if (rank < 0 || rank >= ranks)
            throw new ArgumentOutOfRangeException(nameof(rank), rank, $"Group '{group}' has ranks 0 to {ranks - 1}.");
        var started = Stopwatch.GetTimestamp();
        lock (_gate)
        {
            if (!_meetings.TryGetValue(group, out var meeting))
                _meetings[group] = meeting = new Meeting(group, ranks);
            meeting.Enter(rank, ranks);
            if (meeting.IsComplete)
            {
                _meetings.Remove(group);
                Monitor.PulseAll(_gate);
            }

            while (!meeting.IsComplete)
            {
                var left = deadline - Stopwatch.GetElapsedTime(started);
                if (left > TimeSpan.Zero && Monitor.Wait(_gate, Clock.Milliseconds(left)))
                    continue;
                if (meeting.IsComplete)
                    break;
                var missing = meeting.Missing();
                meeting.Leave(rank);
                if (meeting.IsEmpty)
                    _meetings.Remove(group);
                throw new TimeoutException(
                    $"Group '{group}': rank(s) {string.Join(", ", missing)} of {ranks} did not come within {deadline}.");
            }

            return meeting.LinksOf(rank);
        }
    }

    private sealed class Meeting(string group, int ranks)
    {
        private readonly bool[] _hasCome = new bool[ranks];
        private readonly Dictionary<(int Low, int High), PeerPair> _pairs = [];

        public bool IsComplete => _hasCome.All(came => came);

        public bool IsEmpty => !_hasCome.Any(came => came);

        public void Enter(int rank, int expected)
        {
            if (expected != ranks)
                throw new ArgumentException(
                    $"Rank {rank} joins group '{group}' with {expected} ranks, the others with {ranks}; all must agree.", nameof(expected));
            if (_hasCome[rank])
                throw new ArgumentException($"Rank {rank} of group '{group}' has already come.", nameof(rank));
            _hasCome[rank] = true;
        }

        public void Leave(int rank) => _hasCome[rank] = false;

        public int[] Missing() => [.. Enumerable.Range(0, ranks).Where(rank => !_hasCome[rank])];

        public IPeerLink?[] LinksOf(int rank)
        {
            var links = new IPeerLink?[ranks];
            for (var peer = 0; peer < ranks; peer++)
            {
                if (peer == rank)
                    continue;
                var key = (Math.Min(rank, peer), Math.Max(rank, peer));
                if (!_pairs.TryGetValue(key, out var pair))
                    _pairs[key] = pair = new PeerPair();
                links[peer] = pair.End(group, rank, peer);
            }

            return links;
        }
    }
}
