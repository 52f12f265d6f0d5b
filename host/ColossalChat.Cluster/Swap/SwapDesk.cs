using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Takes wishes to exchange plugins, one after the other: has every node load the candidate, hands what all of them found
/// good to the run, and answers.
/// </summary>
internal sealed class SwapDesk : ReceiveActor
{
    private readonly RunDefinition _definition;
    private readonly IActorRef[] _exchanges;
    private readonly Queue<SwapRequest> _waiting = new();
    private readonly List<SwapPrepared> _prepared = [];
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private SwapRequest? _current;

    public SwapDesk(RunDefinition definition)
    {
        _definition = definition;
        _exchanges = definition.Plugins is { } exchange
            ? [Context.ActorOf(Props.Create(() => new ExchangeActor(exchange, definition.ControlEvery)).WithDispatcher(RunHocon.IoDispatcher), "exchange")]
            : [];
        Receive<SwapAsked>(Ask);
        Receive<SwapPrepared>(prepared => prepared.Id == _current?.Id, Prepared);
        Receive<SwapEnded>(ended => ended.Id == _current?.Id, ended => End(ended.ExitCode, ended.Message));
        Receive<ExchangeNoted>(Context.Parent.Tell);
    }

    protected override void PostStop()
    {
        foreach (var request in _waiting.Prepend(_current).OfType<SwapRequest>())
            Answer(request, ExitCode.NotFound, $"The run ended before {request.Plugin} could be exchanged; it was not.");
    }

    private void Ask(SwapAsked asked)
    {
        if (_exchanges.Length == 0)
        {
            Answer(asked.Request, ExitCode.Invalid, _definition.IsSpread
                ? "A run on several nodes does not exchange plugins while it goes on. Install the new version on all nodes and start them again; the run goes on from its last checkpoint."
                : "This run cannot exchange plugins.");
            return;
        }

        _waiting.Enqueue(asked.Request);
        Next();
    }

    private void Next()
    {
        if (_current is not null || !_waiting.TryDequeue(out _current))
            return;
        _prepared.Clear();
        foreach (var exchange in _exchanges)
            exchange.Tell(new PrepareSwap(_current));
    }

    private void Prepared(SwapPrepared prepared)
    {
        _prepared.Add(prepared);
        if (_prepared.Count < _exchanges.Length)
            return;
        var refusals = _prepared.Where(answer => answer.Offer is null).Select(answer => answer.Refusal).Distinct().ToArray();
        if (refusals.Length == 0)
        {
            Context.Parent.Tell(new SwapReady(_prepared[0].Offer!, _exchanges));
            return;
        }

        foreach (var exchange in _exchanges)
            exchange.Tell(new SwitchPlugin(_current!.Id, Step: 0, IsBack: true));
        var message = $"{_current!.Plugin} from {_current.Folder} was refused, and the run goes on with what it has: {string.Join("\n", refusals)}";
        Context.Parent.Tell(new ExchangeNoted("swap", message));
        End(ExitCode.Invalid, message);
    }

    private void End(ExitCode exitCode, string message)
    {
        Answer(_current!, exitCode, message);
        _current = null;
        Next();
    }

    private void Answer(SwapRequest request, ExitCode exitCode, string message)
    {
        if (request.IsWatched)
            return;
        try
        {
            RunControl.Answer(_definition.RunFolder, request.Id, new ControlAnswer(exitCode, message));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            _log.Warning(error, "Request {0} could not be answered.", request.Id);
        }
    }
}
