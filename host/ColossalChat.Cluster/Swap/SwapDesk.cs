using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Takes wishes to exchange plugins, one after the other: has every node load the candidate, hands what all of them found
/// good to the run, writes down what stays, and answers.
/// </summary>
internal sealed class SwapDesk : ReceiveActor, IWithTimers
{
    private readonly RunDefinition _definition;
    private readonly Queue<SwapRequest> _waiting = new();
    private readonly Dictionary<string, SwapPrepared> _prepared = [];
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private IReadOnlyDictionary<string, IActorRef> _nodes = new Dictionary<string, IActorRef>();
    private SwapRequest? _current;
    private string? _recorded;
    private bool _isPreparing;

    public SwapDesk(RunDefinition definition)
    {
        _definition = definition;
        Receive<SwapAsked>(asked => Ask(asked.Request));
        Receive<NodesKnown>(Know);
        Receive<SwapPrepared>(prepared => _isPreparing && prepared.Id == _current?.Id, Prepared);
        Receive<SwapPrepared>(late => _log.Debug("Dropped a late answer of node {0}.", late.Node));
        Receive<PluginSwitched>(_ => { }); // A candidate that was refused is forgotten; nothing waits for that.
        Receive<ExchangeNoted>(Context.Parent.Tell);
        Receive<RecordSwap>(Record);
        Receive<SwapEnded>(ended => ended.Id == _current?.Id, ended => End(ended.ExitCode, ended.Message));
        Receive<Look>(_ => LookAround());
        Receive<AskAgain>(_ => AskNodes());
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart()
    {
        if (_definition.Plugins is null)
            return;
        Timers.StartPeriodicTimer("look", new Look(), _definition.ControlEvery);
        if (_definition.IsSpread)
            Timers.StartPeriodicTimer("again", new AskAgain(), _definition.Flow.ResendAfter);
    }

    protected override void PostStop()
    {
        foreach (var request in _waiting.Prepend(_current).OfType<SwapRequest>())
            if (request.Id == _recorded)
                Answer(request, ExitCode.Ok, $"{request.Plugin} was exchanged for what is in {request.Folder}: it had stood its trial and was written down when the run ended.");
            else
                Answer(request, ExitCode.NotFound, $"The run ended before {request.Plugin} could be exchanged; it was not.");
    }

    private void LookAround()
    {
        IReadOnlyList<SwapRequest> changes = [];
        try
        {
            changes = _definition.Plugins!.Changes();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // A folder that is being written to; the next look is soon.
            _log.Debug("A watched plugin folder could not be read: {0}", error.Message);
        }

        foreach (var request in changes)
            Ask(request);
    }

    private void Ask(SwapRequest request)
    {
        if (_definition.Plugins is null)
        {
            Answer(request, ExitCode.Invalid, "This run cannot exchange plugins.");
            return;
        }

        _waiting.Enqueue(request);
        Next();
    }

    private void Next()
    {
        while (_current is null && _waiting.TryDequeue(out _current))
        {
            _prepared.Clear();
            if (!TryCopy())
                continue;
            _isPreparing = true;
            AskNodes();
        }
    }

    // One copy for all nodes, where all of them see it.
    private bool TryCopy()
    {
        if (!_definition.IsSpread)
            return true;
        try
        {
            _current = _definition.Plugins!.Copied(_current!);
            return true;
        }
        catch (Exception error)
        {
            // Whatever is wrong with one folder, the next request is to be carried out.
            if (error is not UserErrorException)
                _log.Warning(error, "The folder of exchange {0} could not be copied.", _current!.Id);
            Refuse(error.Message);
            return false;
        }
    }

    private void Know(NodesKnown known)
    {
        _nodes = known.Nodes;
        foreach (var gone in _prepared.Keys.Where(node => !_nodes.ContainsKey(node)).ToArray())
            _prepared.Remove(gone);
        AskNodes();
        DecideWhenAllAnswered();
    }

    private void AskNodes()
    {
        if (!_isPreparing)
            return;
        foreach (var (name, node) in _nodes)
            if (!_prepared.ContainsKey(name))
                node.Tell(new PrepareSwap(_current!, PrepareSwap.OfDesk));
    }

    private void Prepared(SwapPrepared prepared)
    {
        if (_nodes.ContainsKey(prepared.Node))
            _prepared[prepared.Node] = prepared;
        DecideWhenAllAnswered();
    }

    private void DecideWhenAllAnswered()
    {
        if (!_isPreparing || _nodes.Count == 0 || _prepared.Count < _nodes.Count)
            return;
        _isPreparing = false;
        var refusals = _prepared.Values.Where(answer => answer.Offer is null).ToArray();
        if (refusals.Length == 0)
        {
            Context.Parent.Tell(new SwapReady(_prepared.Values.First().Offer!, _current!));
            return;
        }

        foreach (var node in _nodes.Values)
            node.Tell(new SwitchPlugin(_current!.Id, PrepareSwap.OfDesk, IsBack: true));
        Refuse(string.Join("\n", refusals.GroupBy(refusal => refusal.Refusal).Select(same => Where([.. same.Select(refusal => refusal.Node)]) + same.Key)));
        Next();
    }

    // The same reason everywhere needs no places.
    private string Where(IReadOnlyCollection<string> nodes) =>
        nodes.Count == _nodes.Count ? "" : $"{string.Join(", ", nodes.Order(StringComparer.Ordinal))}: ";

    private void Refuse(string reason)
    {
        var message = $"{_current!.Plugin} from {_current.Folder} was refused, and the run goes on with what it has: {reason}";
        Context.Parent.Tell(new ExchangeNoted("swap", message));
        Answer(_current, ExitCode.Invalid, message);
        _current = null;
    }

    private void Record(RecordSwap record)
    {
        var error = "";
        try
        {
            _definition.Fence?.Invoke();
            _definition.Plugins!.Record(record.Id, record.Iteration);
            _recorded = record.Id;
        }
        catch (Exception failure)
        {
            // All roles wait for the answer, so there is one whatever goes wrong.
            if (failure is not UserErrorException)
                _log.Warning(failure, "Exchange {0} could not be written down.", record.Id);
            error = $"It could not be written down in the run's folder: {failure.Message}";
        }

        var recorded = new SwapRecorded(record.Step, error);
        Context.Parent.Tell(recorded);
        Sender.Tell(recorded);
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
        if (_definition.WhyFenced() is { } reason)
        {
            _log.Debug("Request {0} was left to whoever leads the run by now: {1}", request.Id, reason);
            return;
        }

        try
        {
            RunControl.Answer(_definition.RunFolder, request.Id, new ControlAnswer(exitCode, message));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            _log.Warning(error, "Request {0} could not be answered.", request.Id);
        }
    }

    private sealed record Look;

    private sealed record AskAgain;
}
