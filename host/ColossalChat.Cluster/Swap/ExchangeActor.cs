using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// One node's side of an exchange: asks its <see cref="IPluginExchange"/>, once for each question however often it comes,
/// and looks after versions that were given up. Loading waits for the disk, so it lives on the dispatcher for that.
/// </summary>
internal sealed class ExchangeActor : ReceiveActor, IWithTimers
{
    private readonly IPluginExchange _exchange;
    private readonly string _node;
    private readonly TimeSpan _every;
    private readonly IActorRef _parent = Context.Parent;
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private (string Id, int Step, object Answer)? _last;

    /// <param name="exchange">What does it.</param>
    /// <param name="node">Name of the node; empty for the only process of a run.</param>
    /// <param name="every">Time between two looks.</param>
    public ExchangeActor(IPluginExchange exchange, string node, TimeSpan every)
    {
        (_exchange, _node, _every) = (exchange, node, every);
        Receive<IAskedOfNode>(Answer);
        Receive<Look>(_ => LookAround());
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart() => Timers.StartPeriodicTimer("look", new Look(), _every);

    private void Answer(IAskedOfNode asked)
    {
        if (asked.Step == PrepareSwap.OfDesk || _last is not { } last || (last.Id, last.Step) != (asked.Id, asked.Step))
            _last = (asked.Id, asked.Step, AnswerTo(asked));
        Sender.Tell(_last.Value.Answer);
    }

    private object AnswerTo(IAskedOfNode asked)
    {
        switch (asked)
        {
            case PrepareSwap { Request: var request } prepare:
                var (offer, refusal) = Try(asked, () => _exchange.Prepare(request));
                return new SwapPrepared(request.Id, prepare.Step, _node, offer, refusal);
            case FindUsers find:
                var (slots, unknown) = Try(asked, () => _exchange.Users(find.Id));
                return new UsersFound(find.Step, _node, slots ?? [], unknown);
            case SwitchPlugin change:
                var (_, failure) = Try(asked, () =>
                {
                    if (change.IsBack)
                        _exchange.GoBack(change.Id);
                    else
                        _exchange.Switch(change.Id);
                    return change;
                });
                return new PluginSwitched(change.Step, _node, failure);
            case CommitSwap commit:
                var (advice, odd) = Try(asked, () => _exchange.Commit(commit.Id));
                return new SwapCommitted(commit.Step, _node, advice ?? odd);
            default:
                throw new ArgumentOutOfRangeException(nameof(asked), asked, "No question of an exchange.");
        }
    }

    // Whatever a plugin does while it is looked at, it must not take the run along.
    private (T? Result, string Error) Try<T>(IAskedOfNode asked, Func<T> step)
        where T : class
    {
        try
        {
            return (step(), "");
        }
        catch (Exception error)
        {
            if (error is not UserErrorException)
                _log.Warning(error, "{0} of exchange {1} failed.", asked.GetType().Name, asked.Id);
            return (null, error.Message);
        }
    }

    private void LookAround()
    {
        var where = _node.Length == 0 ? "" : $"Node {_node}: ";
        foreach (var retired in _exchange.Collect())
            _parent.Tell(new ExchangeNoted(retired.IsGone ? "swap" : "warning", where + retired.Message));
    }

    private sealed record Look;
}
