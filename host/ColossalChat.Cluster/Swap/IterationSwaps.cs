using Akka.Actor;

namespace ColossalChat.Cluster;

/// <summary>What leads an attempt keeps of a plugin's exchange: the one that is due, and how often roles were made anew.</summary>
internal sealed class IterationSwaps
{
    // As many as one exchange makes at most: trainers, trainers again, others, others again, trainers and others back.
    private const long FormationsEach = 8;

    // More than one exchange asks.
    private const int StepsEach = 100;
    private readonly HashSet<string> _seen = [];
    private SwapReady? _due;
    private RunState? _state;
    private IActorRef _swap = ActorRefs.Nobody;
    private int _begun;

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

    /// <summary>The supervisor is told that it begins, and answers who takes part.</summary>
    public void Announce(FlowContext flow) => flow.Run.Tell(new SwapBegun(flow.Epoch, _due!.Offer.Id));

    /// <summary>Begins it.</summary>
    public void Begin(IActorContext context, FlowContext flow, RoleTable roles, RunState state, SwapMembers members)
    {
        var (ready, numbers) = (_due!, new SwapNumbers(FormationsEach * _begun, StepsEach * _begun));
        (_due, _state, _begun) = (null, state, _begun + 1);
        var (actors, readers) = (roles.Roles.ToDictionary(), roles.Readers.Keys.ToArray());
        _swap = context.ActorOf(Props.Create(() => new SwapActor(flow, ready, members.Nodes, actors, readers, state, numbers)));
    }

    /// <summary>It cannot begin.</summary>
    public void GiveUp(FlowContext flow, string reason)
    {
        var offer = _due!.Offer;
        _due = null;
        flow.Run.Tell(new SwapEnded(flow.Epoch, offer.Id, Contracts.ExitCode.Failed, $"{offer.Plugin} {offer.Old} stays: {reason}"));
    }

    /// <summary>A node is gone that hosted no role.</summary>
    public void Lose(MemberLost lost) => _swap.Tell(lost);

    /// <summary>It ended.</summary>
    public void End(IActorContext context, FlowContext flow, StateSaver saver, SwapEnded ended)
    {
        saver.EndKeeping(_state!);
        _state = null;
        context.Stop(_swap);
        _swap = ActorRefs.Nobody;
        flow.Run.Tell(ended);
    }
}

/// <summary>Numbers of an attempt that an exchange may use.</summary>
/// <param name="Formations">How often roles were made anew before, or more.</param>
/// <param name="Steps">Questions that were asked before, or more.</param>
internal readonly record struct SwapNumbers(long Formations, int Steps);
