using System.Collections.Immutable;
using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Hosts a role that computes with published weights; most have no state of their own.</summary>
internal abstract class WeightReaderActor<TRole> : StatefulRoleActor<TRole>
    where TRole : class
{
    private ImmutableSortedDictionary<string, WeightsPublication> _newest = ImmutableSortedDictionary<string, WeightsPublication>.Empty;

    protected WeightReaderActor(FlowContext flow, string role, Func<TRole> make, RunState? from)
        : base(flow, role, _ => make(), from) => Receive<WeightsReady>(Load);

    protected abstract void LoadWeights(TRole role, WeightsPublication publication, CancellationToken cancel);

    // A role that was made anew knows no weights yet; the last of each model is all it needs.
    protected override IEnumerable<RoleCall<TRole>> AfterRestart() => _newest.Values.Select(publication => new RoleCall<TRole>(
        default, "load weights", (role, cancel) => Take(role, publication, cancel), (_, _) => { }));

    private void Load(WeightsReady ready)
    {
        var publication = ready.Publication;
        if (_newest.TryGetValue(publication.Model, out var known) && publication.Epoch < known.Epoch)
        {
            DropLate(ready, new BatchId(ready.Iteration, 0));
            return;
        }

        _newest = _newest.SetItem(publication.Model, publication);
        Call(
            new BatchId(ready.Iteration, 0),
            $"load weights of {publication.Model}",
            (role, cancel) => Take(role, publication, cancel),
            (_, _) => Iteration.Tell(new WeightsLoaded(ready.Iteration, Role, publication)));
    }

    private object? Take(TRole role, WeightsPublication publication, CancellationToken cancel)
    {
        LoadWeights(role, publication, cancel);
        return null;
    }
}
