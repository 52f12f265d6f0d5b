using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>What a run's supervisor keeps of a plugin's exchange: it outlives the attempt that was to make it.</summary>
/// <param name="definition">The run.</param>
internal sealed class RunSwaps(RunDefinition definition)
{
    private IActorRef _desk = ActorRefs.Nobody;
    private IActorRef _control = ActorRefs.Nobody;
    private IReadOnlyDictionary<string, IActorRef> _nodes = new Dictionary<string, IActorRef>();
    private SwapReady? _ready;
    private bool _isBegun;
    private bool _isRecorded;

    /// <summary>It is being written down that one stays: until that is done nobody knows which version the run has.</summary>
    public bool IsRecording { get; private set; }

    /// <summary>Roles are being made anew for one: none may come or go.</summary>
    public bool IsUnderWay => _ready is not null && _isBegun;

    /// <summary>From here on wishes are taken.</summary>
    public void Start(IActorContext context)
    {
        var desk = _desk = context.ActorOf(Props.Create(() => new SwapDesk(definition)).WithDispatcher(RunHocon.IoDispatcher), "swaps");
        _control = context.ActorOf(Props.Create(() => new ControlActor(definition, desk)).WithDispatcher(RunHocon.IoDispatcher), "control");
        if (definition is { Plugins: { } exchange, IsSpread: false })
            Know(new Dictionary<string, IActorRef>
            {
                [""] = context.ActorOf(Props.Create(() => new ExchangeActor(exchange, "", definition.ControlEvery)).WithDispatcher(RunHocon.IoDispatcher), "exchange"),
            });
    }

    /// <summary>Who takes part in exchanges from now on, by the node's name.</summary>
    public void Know(IReadOnlyDictionary<string, IActorRef> nodes)
    {
        _nodes = nodes;
        _desk.Tell(new NodesKnown(nodes));
    }

    /// <summary>An iteration ended: a good time to see what is wanted.</summary>
    public void Look() => _control.Tell(new LookIntoBox());

    /// <summary>All nodes have the candidate; the attempt exchanges it when it comes to a boundary.</summary>
    public void Take(SwapReady ready, IActorRef attempt)
    {
        (_ready, _isBegun, _isRecorded) = (ready, false, false);
        attempt.Tell(ready);
    }

    /// <summary>An attempt opened: it does what the one before was to do.</summary>
    public void Hand(IActorRef attempt)
    {
        if (_ready is not null)
            attempt.Tell(_ready);
    }

    /// <summary>From here on an attempt that does not end it has to be undone.</summary>
    public void Begin(IActorRef attempt)
    {
        _isBegun = true;
        attempt.Tell(new SwapMembers(_nodes));
    }

    /// <summary>The attempt found it good.</summary>
    public void Record(RecordSwap record)
    {
        IsRecording = true;
        _desk.Forward(record);
    }

    /// <summary>It is written down, or could not be.</summary>
    public void Recorded(SwapRecorded recorded) => (IsRecording, _isRecorded) = (false, recorded.Error.Length == 0);

    /// <summary>It ended, and whoever asked is told.</summary>
    /// <returns>What to tell the user.</returns>
    public string End(SwapEnded ended)
    {
        _ready = null;
        _desk.Tell(ended);
        return ended.Message;
    }

    /// <summary>
    /// Before an attempt makes its roles: an exchange that the last one did not bring to its end is undone, unless it was
    /// written down already.
    /// </summary>
    /// <returns>What to tell the user; null when there was none.</returns>
    public string? GoBack()
    {
        if (_ready is not { Offer: var offer, Request.Copy: var copy } || !_isBegun)
            return null;
        if (!definition.IsSpread && _isRecorded)
            definition.Plugins!.Commit(offer.Id);
        if (_isRecorded || (copy is not null && definition.Plugins!.InUse.Contains(copy)))
            return End(new SwapEnded(0, offer.Id, ExitCode.Ok, $"{offer.Plugin} {offer.Old} -> {offer.New}: it had stood its trial when the run had to make all its roles anew."));
        definition.Plugins?.GoBack(offer.Id);
        return End(new SwapEnded(0, offer.Id, ExitCode.Failed,
            $"{offer.Plugin} {offer.Old} stays: the run had to make all its roles anew while {offer.New} was being tried."));
    }
}
