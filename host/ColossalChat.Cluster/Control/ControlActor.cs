using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>RunActor or a timer -> ControlActor: look into the run's drop box.</summary>
internal sealed record LookIntoBox;

/// <summary>Empties the run's drop box and gives each request to whoever can carry it out.</summary>
internal sealed class ControlActor : ReceiveActor, IWithTimers
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);
    private readonly RunDefinition _definition;
    private readonly IActorRef _swaps;
    private readonly HashSet<string> _taken = [];
    private readonly ILoggingAdapter _log = Context.GetLogger();

    /// <param name="definition">The run.</param>
    /// <param name="swaps">Exchanges plugins.</param>
    public ControlActor(RunDefinition definition, IActorRef swaps)
    {
        (_definition, _swaps) = (definition, swaps);
        Receive<LookIntoBox>(_ => Look(Take));
        Receive<Decided>(_ => IsMine(), decided => Answer(decided.Id, decided.Answer.ExitCode, decided.Answer.Message));
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart()
    {
        // Whoever asked then asked nobody, or a process that is gone; nothing is done long after it was wanted. An exchange may
        // have been made all the same: what it was asked of wrote that down, and was gone before it could say so.
        Look((id, request) =>
        {
            if (SwapOf(id, request) is { } swap && IsRecorded(swap))
                Answer(id, ExitCode.Ok, $"{swap.Plugin} was exchanged for what is in {swap.Folder}: another process led the run then, and wrote down that it stays.");
            else
                Answer(id, ExitCode.NotFound, "The run was not going on when this was asked; ask again.");
        });
        Timers.StartPeriodicTimer("look", new LookIntoBox(), _definition.ControlEvery);
    }

    // The desk answers what it was given. Nobody hears any more whether a node may leave.
    protected override void PostStop() => Look((id, request) =>
    {
        if (request is { Kind: RunControl.Leave } || !_taken.Contains(id))
            Answer(id, ExitCode.NotFound, "The run ended before it came to this.");
    });

    private void Take(string id, ControlRequest? request)
    {
        if (!_taken.Add(id))
            return;
        if (SwapOf(id, request) is { } swap)
            _swaps.Tell(new SwapAsked(swap));
        else if (request is { Kind: RunControl.Leave } && _definition.IsSpread && request.Arguments.TryGetValue(RunControl.Node, out var node))
            Context.Parent.Ask<ControlAnswer>(new NodeAskedToLeave(node), s_patience).PipeTo(
                Self,
                success: answer => new Decided(id, answer),
                failure: error => new Decided(id, new ControlAnswer(
                    ExitCode.Failed, $"The run did not say whether node {node} leaves ({error.GetBaseException().Message.TrimEnd('.')}). See whether it does, else ask again.")));
        else if (request is { Kind: RunControl.Stop } && _definition.RequestStop is { } stop)
        {
            stop();
            Answer(id, ExitCode.Ok, "The run ends after this iteration, with a checkpoint; start its nodes again to go on.");
        }
        else
            Answer(id, ExitCode.Invalid, $"The run knows no request of kind '{request?.Kind ?? "?"}' with these arguments; is it of another version of the program?");
    }

    private static SwapRequest? SwapOf(string id, ControlRequest? request) =>
        request is { Kind: RunControl.Swap } && request.Arguments.TryGetValue(RunControl.Plugin, out var plugin)
            && request.Arguments.TryGetValue(RunControl.Folder, out var folder)
            ? new SwapRequest(id, plugin, folder)
            : null;

    private bool IsRecorded(SwapRequest swap)
    {
        try
        {
            return _definition.Plugins?.IsRecorded(swap) == true;
        }
        catch (Exception error)
        {
            // Whatever is wrong with the folder that somebody named, he is told to ask again.
            _log.Debug("It could not be seen whether exchange {0} was made: {1}", swap.Id, error.Message);
            return false;
        }
    }

    private void Look(Action<string, ControlRequest?> take)
    {
        if (!IsMine())
            return;
        try
        {
            foreach (var (id, request) in RunControl.Pending(_definition.RunFolder))
                take(id, request);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The run goes on without a drop box; the next look is soon.
            _log.Debug("The drop box of the run could not be read: {0}", error.Message);
        }
    }

    // Whoever leads the run by now answers what is asked of it.
    private bool IsMine()
    {
        if (_definition.WhyFenced() is not { } reason)
            return true;
        _log.Debug("The drop box of the run was left alone: {0}", reason);
        return false;
    }

    private void Answer(string id, ExitCode exitCode, string message)
    {
        try
        {
            RunControl.Answer(_definition.RunFolder, id, new ControlAnswer(exitCode, message));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It lies in the box still, and the next look takes it again.
            _taken.Remove(id);
            _log.Debug("Request {0} could not be answered: {1}", id, error.Message);
        }
    }

    private sealed record Decided(string Id, ControlAnswer Answer);
}
