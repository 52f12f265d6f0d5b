using ColossalChat.Contracts;

namespace ColossalChat.Transfer;

/// <summary>
/// Groups of ranks that are threads of one process. A group may meet again under the same name once all its ranks
/// have come. Safe to use from several threads.
/// </summary>
public sealed class InProcessPeerLinks : PeerLinks
{
    private readonly object _gate = new();
    private readonly Dictionary<string, Meeting> _meetings = [];

    /// <inheritdoc/>
    public override IPeerGroup Join(RankPlace place, TimeSpan deadline, CancellationToken cancel)
    {
        Places.Check(place);
        using var waking = cancel.Register(WakeAll);
        var (group, rank, ranks) = place;
        var wait = new Deadline(deadline);
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
                if (!wait.HasPassed && !cancel.IsCancellationRequested)
                {
                    Monitor.Wait(_gate, wait.Milliseconds());
                    continue;
                }

                var missing = meeting.Missing();
                meeting.Leave(rank);
                if (meeting.IsEmpty)
                    _meetings.Remove(group);
                cancel.ThrowIfCancellationRequested();
                throw Places.DidNotCome(place, missing, deadline);
            }

            return new InProcessGroup(meeting.Circle, place);
        }
    }

    private void WakeAll()
    {
        lock (_gate)
            Monitor.PulseAll(_gate);
    }

    private sealed class Meeting(string group, int ranks)
    {
        private readonly bool[] _hasCome = new bool[ranks];

        public InProcessCircle Circle { get; } = new(group, ranks);

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
    }
}
