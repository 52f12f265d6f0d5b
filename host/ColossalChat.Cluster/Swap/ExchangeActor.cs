using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// One node's side of an exchange: asks its <see cref="IPluginExchange"/>, looks after watched folders and after versions
/// that were given up. Loading waits for the disk, so it lives on the dispatcher for that.
/// </summary>
internal sealed class ExchangeActor : ReceiveActor, IWithTimers
{
    private readonly IPluginExchange _exchange;
    private readonly TimeSpan _every;
    private readonly IActorRef _desk = Context.Parent;
    private readonly ILoggingAdapter _log = Context.GetLogger();

    /// <param name="exchange">What does it.</param>
    /// <param name="every">Time between two looks.</param>
    public ExchangeActor(IPluginExchange exchange, TimeSpan every)
    {
        (_exchange, _every) = (exchange, every);
        Receive<PrepareSwap>(Prepare);
        Receive<FindUsers>(find => Sender.Tell(new UsersFound(find.Step, _exchange.Users(find.Id))));
        Receive<SwitchPlugin>(Switch);
        Receive<CommitSwap>(commit => Sender.Tell(new SwapCommitted(commit.Step, _exchange.Commit(commit.Id, commit.Iteration))));
        Receive<Look>(_ => LookAround());
    }

    public ITimerScheduler Timers { get; set; } = null!;

    protected override void PreStart() => Timers.StartPeriodicTimer("look", new Look(), _every);

    private void Prepare(PrepareSwap prepare)
    {
        try
        {
            Sender.Tell(new SwapPrepared(prepare.Request.Id, _exchange.Prepare(prepare.Request), ""));
        }
        catch (Exception error)
        {
            // Whatever a plugin does while it is looked at, it must not take the run along.
            if (error is not UserErrorException)
                _log.Warning(error, "Plugin {0} could not be loaded from {1}.", prepare.Request.Plugin, prepare.Request.Folder);
            Sender.Tell(new SwapPrepared(prepare.Request.Id, null, error.Message));
        }
    }

    private void Switch(SwitchPlugin change)
    {
        if (change.IsBack)
        {
            _exchange.GoBack(change.Id);
            Sender.Tell(new PluginSwitched(change.Step, ""));
            return;
        }

        try
        {
            _exchange.Switch(change.Id);
            Sender.Tell(new PluginSwitched(change.Step, ""));
        }
        catch (Exception error)
        {
            _log.Warning(error, "The plugin could not be switched.");
            Sender.Tell(new PluginSwitched(change.Step, error.Message));
        }
    }

    private void LookAround()
    {
        try
        {
            foreach (var request in _exchange.Changes())
                _desk.Tell(new SwapAsked(request));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // A folder that is being written to; the next look is soon.
            _log.Debug("A watched plugin folder could not be read: {0}", error.Message);
        }

        foreach (var retired in _exchange.Collect())
            _desk.Tell(new ExchangeNoted(retired.IsGone ? "swap" : "warning", retired.Message));
    }

    private sealed record Look;
}
