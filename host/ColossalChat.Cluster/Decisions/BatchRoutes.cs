using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Which rollout actor and which scorers a batch goes to: of each pool one without a batch, else the one with the fewest on
/// their way, looked for from where the last search ended. A batch stays with those it was given as long as they are there.
/// </summary>
/// <param name="pools">Who takes part.</param>
internal sealed class BatchRoutes(Pools pools)
{
    private readonly Dictionary<BatchId, (IActorRef Rollout, IReadOnlyList<IActorRef> Scorers)> _given = [];
    private readonly Dictionary<IActorRef, int> _load = [];
    private Pools _pools = pools;
    private int _next;

    /// <summary>Who takes the batch; the same as before while all of them are there.</summary>
    /// <exception cref="InvalidOperationException">A pool is empty: a fault of the host itself.</exception>
    public (IActorRef Rollout, IReadOnlyList<IActorRef> Scorers) Of(BatchId batch)
    {
        if (_given.TryGetValue(batch, out var known))
            return known;
        var route = (Least(_pools.Rollouts), (IReadOnlyList<IActorRef>)[.. _pools.Scorers.Select(Least)]);
        _given[batch] = route;
        Count(route, 1);
        _next++;
        return route;
    }

    /// <summary>The batch needs nobody any more.</summary>
    public void End(BatchId batch)
    {
        if (_given.Remove(batch, out var route))
            Count(route, -1);
    }

    /// <summary>Others take part from now on.</summary>
    /// <returns>Batches that were with somebody who is gone; they get a new route when it is asked for.</returns>
    public IReadOnlyList<BatchId> Change(Pools pools)
    {
        _pools = pools;
        var there = pools.Rollouts.Concat(pools.Scorers.SelectMany(pool => pool)).ToHashSet();
        BatchId[] lost = [.. _given.Where(batch => !there.Contains(batch.Value.Rollout) || !batch.Value.Scorers.All(there.Contains)).Select(batch => batch.Key)];
        foreach (var batch in lost)
            End(batch);
        return lost;
    }

    // Of many actors most are free: the search is short however large the pool is.
    private IActorRef Least(IReadOnlyList<IActorRef> pool)
    {
        if (pool.Count == 0)
            throw new InvalidOperationException("A batch was sent while nobody takes it.");
        var best = pool[_next % pool.Count];
        for (var i = 0; i < pool.Count && LoadOf(best) > 0; i++)
            if (pool[(_next + i) % pool.Count] is var actor && LoadOf(actor) < LoadOf(best))
                best = actor;
        return best;
    }

    private int LoadOf(IActorRef actor) => _load.GetValueOrDefault(actor);

    private void Count((IActorRef Rollout, IReadOnlyList<IActorRef> Scorers) route, int change)
    {
        foreach (var actor in route.Scorers.Append(route.Rollout))
            _load[actor] = _load.GetValueOrDefault(actor) + change;
    }
}
