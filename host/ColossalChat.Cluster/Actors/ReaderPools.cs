using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Who takes batches: each role that computes with published weights from when it first has the newest. One that lags behind
/// later ones stays, and <see cref="WindowsAhead"/> begins no window for which its weights are too old.
/// </summary>
internal sealed class ReaderPools(FlowContext flow, RoleTable roles)
{
    private readonly Dictionary<string, WeightsLoaded> _newest = [];
    private readonly Dictionary<(string Reader, string Model), long> _loaded = [];
    private readonly HashSet<string> _ready = [];
    private readonly HashSet<WeightsPublication> _withdrawn = [];
    private bool _areComplete;

    /// <summary>A role was opened, perhaps long after the others.</summary>
    public void Welcome(string slot, IActorRef actor)
    {
        if (!RoleTable.IsReader(slot))
            return;
        foreach (var newest in _newest.Values)
            actor.Tell(new WeightsReady(newest.Iteration, newest.Publication), flow.Iteration);
    }

    /// <summary>New weights were published; who has them is not known yet.</summary>
    /// <param name="ready">The publication.</param>
    /// <param name="told">Readers that the publisher told of it; the others came meanwhile.</param>
    public void Published(WeightsReady ready, IReadOnlySet<string> told)
    {
        _withdrawn.Remove(ready.Publication);
        _newest[ready.Publication.Model] = new WeightsLoaded(ready.Iteration, "", ready.Publication);
        foreach (var (slot, actor) in roles.Readers.Where(reader => !told.Contains(reader.Key)))
            Welcome(slot, actor);
    }

    /// <summary>
    /// Trainers that were made anew publish the same weights once more, and what the old ones published is gone with them: whoever
    /// comes is not sent to it, also when a reader still answers that it had it.
    /// </summary>
    /// <param name="models">What those trainers train; of others all stays.</param>
    public void Withdraw(IReadOnlyCollection<string> models)
    {
        foreach (var model in models)
            if (_newest.Remove(model, out var newest))
                _withdrawn.Add(newest.Publication);
    }

    /// <summary>Tells readers of the newest weights that they have not; the first message may have been lost.</summary>
    public void TellAgain()
    {
        foreach (var (slot, actor) in roles.Readers.Where(reader => !HasNewest(reader.Key)))
            Welcome(slot, actor);
    }

    /// <summary>True when a reader has a model's weights after an iteration, or newer ones.</summary>
    public bool Has(string reader, string model, long iteration) => _loaded.GetValueOrDefault((reader, model), -1) >= iteration;

    /// <summary>Oldest version of any model that one of those has who take batches; null while some role has nobody yet.</summary>
    public long? OldestVersion => _areComplete
        ? _ready.SelectMany(_ => flow.Definition.Plan.ModelsTrained, (reader, model) => _loaded.GetValueOrDefault((reader, model), -1) + 1).DefaultIfEmpty(0).Min()
        : null;

    /// <summary>A reader has weights.</summary>
    public void Loaded(WeightsLoaded loaded)
    {
        var model = loaded.Publication.Model;
        var key = (loaded.Reader, model);
        _loaded[key] = Math.Max(loaded.Iteration, _loaded.GetValueOrDefault(key, -1));
        if (_withdrawn.Contains(loaded.Publication))
        {
            // The same weights as those published again, but nobody else gets them from there.
        }
        else if (!_newest.TryGetValue(model, out var newest) || newest.Iteration < loaded.Iteration)
        {
            _newest[model] = loaded;
            Renew(loaded);
        }
        else if (newest.Iteration > _loaded[key] && roles.Readers.GetValueOrDefault(loaded.Reader) is { } late)
        {
            late.Tell(new WeightsReady(newest.Iteration, newest.Publication), flow.Iteration);
        }

        if (roles.Readers.ContainsKey(loaded.Reader) && !_ready.Contains(loaded.Reader) && HasNewest(loaded.Reader))
        {
            _ready.Add(loaded.Reader);
            Tell();
        }
    }

    /// <summary>These readers are gone.</summary>
    public void Lose(IReadOnlyCollection<string> slots)
    {
        foreach (var key in _loaded.Keys.Where(key => slots.Contains(key.Reader)).ToArray())
            _loaded.Remove(key);
        _ready.ExceptWith(slots);
        Tell();
    }

    // Whoever came while these were on their way was given older ones; asked twice, a reader loads them once.
    private void Renew(WeightsLoaded newest)
    {
        if (!flow.Definition.IsSpread)
            return;
        foreach (var (slot, actor) in roles.Readers)
            if (slot != newest.Reader && !_ready.Contains(slot))
                actor.Tell(new WeightsReady(newest.Iteration, newest.Publication), flow.Iteration);
    }

    private bool HasNewest(string reader) => flow.Definition.Plan.ModelsTrained.All(model =>
        _newest.TryGetValue(model, out var newest) && _loaded.GetValueOrDefault((reader, model), -1) >= newest.Iteration);

    // While nobody is there for some role, batches wait: whoever takes its place gets them.
    private void Tell()
    {
        var pools = roles.PoolsOf(_ready);
        if (pools.Rollouts.Count == 0 || !pools.Scorers.All(pool => pool.Count > 0))
            return;
        _areComplete = true;
        roles.Prompts.Tell(new PoolsChanged(pools), flow.Iteration);
    }
}
