using Akka.Actor;

namespace ColossalChat.Cluster;

/// <summary>What leads an attempt keeps of a plugin's exchange: the one that is due, and how often roles were made anew.</summary>
internal sealed class IterationSwaps
{
    // As many as one exchange makes at most: users, trainers again, others again, all of them back.
    private const long FormationsEach = 8;
    private readonly HashSet<string> _seen = [];
    private SwapReady? _due;
    private RunState? _state;
    private long _begun;

    /// <summary>An exchange waits for a boundary.</summary>
    public bool IsDue => _due is not null;

    /// <summary>Roles are being made anew for one.</summary>
    public bool IsUnderWay => _state is not null;

    /// <summary>It is due from now on; told twice it is due once.</summary>
    public void Take(SwapReady ready)
    {
        if (_seen.Add(ready.Offer.Id))
            _due = ready;
    }

    /// <summary>Begins it.</summary>
    public void Begin(IActorContext context, FlowContext flow, RoleTable roles, RunState state)
    {
        var (ready, formations) = (_due!, FormationsEach * _begun++);
        (_due, _state) = (null, state);
        flow.Run.Tell(new SwapBegun(flow.Epoch, ready.Offer.Id));
        var (actors, readers) = (roles.Roles, roles.Readers.Keys.ToArray());
        context.ActorOf(Props.Create(() => new SwapActor(flow, ready, actors, readers, state, formations)));
    }

    /// <summary>It ended.</summary>
    public void End(IActorContext context, IActorRef swap, FlowContext flow, StateSaver saver, SwapEnded ended)
    {
        saver.EndKeeping(_state!);
        _state = null;
        context.Stop(swap);
        flow.Run.Tell(ended);
    }
}
