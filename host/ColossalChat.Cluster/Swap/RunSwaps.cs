using Akka.Actor;

namespace ColossalChat.Cluster;

/// <summary>What a run's supervisor keeps of a plugin's exchange: it outlives the attempt that was to make it.</summary>
/// <param name="definition">The run.</param>
internal sealed class RunSwaps(RunDefinition definition)
{
    private IActorRef _desk = ActorRefs.Nobody;
    private IActorRef _control = ActorRefs.Nobody;
    private SwapReady? _ready;
    private bool _isBegun;

    /// <summary>From here on wishes are taken.</summary>
    public void Start(IActorContext context)
    {
        var desk = _desk = context.ActorOf(Props.Create(() => new SwapDesk(definition)).WithDispatcher(RunHocon.IoDispatcher), "swaps");
        _control = context.ActorOf(Props.Create(() => new ControlActor(definition, desk)).WithDispatcher(RunHocon.IoDispatcher), "control");
    }

    /// <summary>An iteration ended: a good time to see what is wanted.</summary>
    public void Look() => _control.Tell(new LookIntoBox());

    /// <summary>All nodes have the candidate; the attempt exchanges it when it comes to a boundary.</summary>
    public void Take(SwapReady ready, IActorRef attempt)
    {
        (_ready, _isBegun) = (ready, false);
        attempt.Tell(ready);
    }

    /// <summary>An attempt opened: it does what the one before was to do.</summary>
    public void Hand(IActorRef attempt)
    {
        if (_ready is not null)
            attempt.Tell(_ready);
    }

    /// <summary>From here on an attempt that does not end it has to be undone.</summary>
    public void Begun() => _isBegun = true;

    /// <summary>It ended, and whoever asked is told.</summary>
    /// <returns>What to tell the user.</returns>
    public string End(SwapEnded ended)
    {
        _ready = null;
        _desk.Tell(ended);
        return ended.Message;
    }

    /// <summary>
    /// Before an attempt makes its roles: an exchange that the last one did not bring to its end is undone.
    /// </summary>
    /// <returns>What to tell the user; null when there was none.</returns>
    public string? GoBack()
    {
        if (_ready is not { Offer: var offer } || !_isBegun)
            return null;
        definition.Plugins?.GoBack(offer.Id);
        return End(new SwapEnded(0, offer.Id, Contracts.ExitCode.Failed,
            $"{offer.Plugin} {offer.Old} stays: the run had to make all its roles anew while {offer.New} was being tried."));
    }
}
