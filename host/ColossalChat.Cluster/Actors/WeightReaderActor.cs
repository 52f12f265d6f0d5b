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
        : base(flow, role, _ => make(), from)
    {
        Inbox = flow.Definition.Flow.Staleness > 0 ? new WeightInbox() : null;
        Receive<WeightsReady>(Load);
    }

    /// <summary>Where a role that computes finds weights that have come meanwhile; null where none come.</summary>
    protected WeightInbox? Inbox { get; }

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

        // Readers may lag behind: told once more of what is old, they need not go back to it.
        if (Inbox is null || known is null || publication.Epoch > known.Epoch || publication.Version >= known.Version)
        {
            _newest = _newest.SetItem(publication.Model, publication);
            Inbox?.Post(publication);
        }

        // Being made anew, it takes them up before anything else.
        if (IsClosed)
        {
            Iteration.Tell(new WeightsLoaded(ready.Iteration, Role, publication));
            return;
        }

        Call(
            new BatchId(ready.Iteration, 0),
            $"load weights of {publication.Model}",
            (role, cancel) => Take(role, Inbox?.Newest(publication) ?? publication, cancel),
            (_, _) => Iteration.Tell(new WeightsLoaded(ready.Iteration, Role, publication)));
    }

    private object? Take(TRole role, WeightsPublication publication, CancellationToken cancel)
    {
        LoadWeights(role, publication, cancel);
        return null;
    }
}
