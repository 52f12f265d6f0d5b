namespace ColossalChat.Cluster;

/// <summary>
/// What share of an iteration each role computed nothing: 1 minus the time of its calls over the iteration's time, as
/// <c>timing/idle_share/ROLE</c>. Loading and copying weights do not count as computing.
/// </summary>
internal sealed class IdleShares
{
    // What the windows' timings are called, and whose they are.
    private static readonly (string Timing, string Role)[] s_window =
    [
        ("generate", RoleSlots.Rollout), ("ref", "reference"), ("value", "critic"), ("reward", "reward"), ("experience", RoleSlots.Experience),
    ];

    private readonly Dictionary<string, double> _busy = [];

    private Dictionary<string, int> _instances = [];

    /// <summary>Who is there; the time of a role that is there more than once is summed over all of its slots.</summary>
    public void SetSlots(IEnumerable<string> slots) => _instances = slots.GroupBy(RoleSlots.RoleOf).ToDictionary(role => role.Key, role => role.Count());

    /// <summary>A role computed for so many seconds.</summary>
    public void Add(string role, double seconds) => _busy[role] = _busy.GetValueOrDefault(role) + seconds;

    /// <summary>Adds the shares to an iteration's numbers, whose timings are all there.</summary>
    public void AddTo(IDictionary<string, double> metrics, double seconds)
    {
        foreach (var (timing, role) in s_window)
            if (metrics.TryGetValue($"timing/{timing}_s", out var busy))
                Add(role, busy);
        foreach (var (role, busy) in _busy)
        {
            var share = Math.Clamp(1 - (busy / _instances.GetValueOrDefault(role, 1) / Math.Max(seconds, 1e-9)), 0, 1);
            metrics[$"timing/idle_share/{role}"] = share;
            RunTelemetry.IdleShare.Record(share, new KeyValuePair<string, object?>("role", role));
        }
    }
}
