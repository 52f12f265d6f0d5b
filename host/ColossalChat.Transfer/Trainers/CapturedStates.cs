namespace ColossalChat.Transfer;

/// <summary>
/// The copies of a rank's state in the process that has the rank, by the numbers that the leading process gave them. Safe to
/// use from several threads.
/// </summary>
/// <param name="keeping">Says how much memory they may take.</param>
internal sealed class CapturedStates(StateKeeping keeping) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<long, CapturedState> _states = [];

    /// <summary>The copy to capture into.</summary>
    /// <param name="id">Its number.</param>
    /// <param name="names">Files of a new one; null for one that is there.</param>
    public CapturedState For(long id, StateFileNames? names)
    {
        lock (_lock)
        {
            if (names is not null)
                _states[id] = new CapturedState(StateFiles.Open(names), keeping);
            return Find(id);
        }
    }

    /// <summary>A copy that is there.</summary>
    public CapturedState Find(long id)
    {
        lock (_lock)
            return _states.TryGetValue(id, out var state)
                ? state
                : throw new InvalidOperationException($"There is no copy {id} of the state, only {string.Join(", ", _states.Keys)}.");
    }

    /// <summary>Lets go of all copies but some.</summary>
    public void KeepOnly(IReadOnlySet<long> kept)
    {
        lock (_lock)
        {
            foreach (var (id, state) in _states.Where(state => !kept.Contains(state.Key)).ToArray())
            {
                _states.Remove(id);
                state.Dispose();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => KeepOnly(new HashSet<long>());
}
