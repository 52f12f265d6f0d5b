using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Event;
using Akka.Remote;
using ColossalChat.Contracts;
using AkkaCluster = Akka.Cluster.Cluster;

namespace ColossalChat.Cluster;

/// <summary>What a node is made of.</summary>
public sealed record NodeDefinition
{
    /// <summary>Who it is.</summary>
    public required NodeCard Card { get; init; }

    /// <summary>
    /// A port that is free now, for ranks to meet at. Asked for again and again: another program may have taken the last one by the
    /// time that an attempt needs it.
    /// </summary>
    public required Func<int> FreePort { get; init; }

    /// <summary>The run as this node sees it: its makers of roles, its devices. Nobody observes it here.</summary>
    public required RunDefinition Run { get; init; }

    /// <summary>Told where trainer ranks of an attempt meet, before any of them is made.</summary>
    public required Action<string> MeetAt { get; init; }

    /// <summary>Told once that the node is no longer needed, and why.</summary>
    public required Action<RunOver> Ended { get; init; }
}

/// <summary>
/// A node's side of a run: hosts the roles that the coordinator wants here. Those of an older attempt, or of a coordinator
/// that was replaced, end before any of a newer one begins.
/// </summary>
internal sealed class NodeActor : ReceiveActor, IWithTimers
{
    private const string Ending = "roles end";
    private readonly NodeDefinition _node;
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private readonly Dictionary<string, HostRole> _wanted = [];
    private readonly HashSet<IActorRef> _ending = [];
    private readonly ConcurrentDictionary<string, double> _queues = new(StringComparer.Ordinal);
    private CancellationTokenSource _cancel = new();
    private IActorRef _run = ActorRefs.Nobody;
    private IActorRef _exchange = ActorRefs.Nobody;
    private IActorRef _desk = ActorRefs.Nobody;
    private (IActorRef Asker, IReadOnlyList<PluginCopy> Versions)? _use;
    private long _epoch;
    private bool _wantsToLeave;

    public NodeActor(NodeDefinition node)
    {
        _node = node;
        Receive<DescribeNode>(_ => Describe());
        Receive<HostRole>(Host);
        Receive<EndRole>(end => end.Epoch == _epoch, end => End(end.Slot));
        Receive<EndEpoch>(end => end.Epoch == _epoch, _ => EndAll());
        Receive<Terminated>(ended => GoOn(ended.ActorRef));
        Receive<IAskedOfNode>(Exchange);
        Receive<ExchangeNoted>(noted => (_run.IsNobody() ? _desk : _run).Tell(noted));
        Receive<UsePlugins>(Use);
        Receive<RunOver>(over =>
        {
            EndAll();
            node.Ended(over);
        });
        Receive<GracePassed>(_ => node.Run.Abandon?.Invoke($"Roles did not end within {Grace}: {string.Join(", ", _ending.Select(role => role.Path.Name))}."));
        Receive<ThisActorSystemQuarantinedEvent>(_ => node.Run.Abandon?.Invoke("The others took this node for dead and go on without it."));
        Receive<WantsToLeave>(_ =>
        {
            _wantsToLeave = true;
            Leave();
        });
        Receive<LeaveNow>(_ =>
        {
            EndAll();
            AkkaCluster.Get(Context.System).Leave(AkkaCluster.Get(Context.System).SelfAddress);
        });
    }

    public ITimerScheduler Timers { get; set; } = null!;

    // A role has half of it to return and as much to be disposed.
    private TimeSpan Grace => _node.Run.Flow.CancelGrace * 2;

    /// <summary>Props of a node's actor.</summary>
    public static Props Of(NodeDefinition node) => Props.Create(() => new NodeActor(node));

    // A role actor that throws is a fault of the host itself: the run hears of it as of any failed call.
    protected override SupervisorStrategy SupervisorStrategy() => new OneForOneStrategy(error =>
    {
        _run.Tell(new RoleFailed(_epoch, Sender.Path.Name, default, $"{Sender.Path.Name} broke: {error.Message}", Repair.Rewind));
        return Directive.Stop;
    });

    // Waiting until heartbeats of all others stay away would take ten seconds longer.
    protected override void PreStart()
    {
        Context.System.EventStream.Subscribe(Self, typeof(ThisActorSystemQuarantinedEvent));
        if (_node.Run.Plugins is { } plugins)
        {
            var (name, every) = (_node.Card.Name, _node.Run.ControlEvery);
            _exchange = Context.ActorOf(Props.Create(() => new ExchangeActor(plugins, name, every)).WithDispatcher(RunHocon.IoDispatcher), "exchange");
        }
    }

    protected override void PostStop()
    {
        _cancel.Cancel();
        _cancel.Dispose();
    }

    // Whoever leads the run asks every second: the supervisor that heard the wish first may be dead by now, may not have known
    // this node yet, or may never have heard it.
    private void Describe()
    {
        Sender.Tell(new NodeDescribed(
            _node.Card with { Clock = DateTimeOffset.UtcNow, MeetPort = _node.FreePort() },
            _wanted.Keys.ToDictionary(slot => slot, slot => _queues.GetValueOrDefault(slot)),
            AkkaCluster.Get(Context.System).SelfUniqueAddress.Uid));
        if (_wantsToLeave)
            Sender.Tell(new NodeLeaving(_node.Card.Name));
    }

    private void Host(HostRole host)
    {
        if (host.Epoch < _epoch)
        {
            _log.Debug("Ignored a request of attempt {0} to host {1}; attempt {2} is on.", host.Epoch, host.Slot, _epoch);
            return;
        }

        if (host.Epoch > _epoch)
        {
            EndAll();
            (_epoch, _run) = (host.Epoch, host.Run);
            _cancel = new CancellationTokenSource();
        }

        _wanted[host.Slot] = host;
        if (_ending.Count == 0)
            Start(host);
    }

    private void Start(HostRole host)
    {
        var child = Context.Child(host.Slot);
        if (!child.IsNobody())
        {
            child.Forward(host);
            return;
        }

        var flow = new FlowContext(_node.Run, host.Run, host.Iteration, host.Epoch, _cancel.Token, CancellationToken.None) { Meet = host.Meet, Queues = _queues };
        try
        {
            if (host.Meet.Length > 0)
                _node.MeetAt(host.Meet);

            // No other role is here yet, or all that are use these too.
            _node.Run.Plugins?.Use(host.Plugins);
            var from = host.Checkpoint.Length == 0 ? null : Checkpoints.Open(host.Checkpoint, RoleSlots.IsNeededBy(host.Slot)).State;
            Context.ActorOf(RoleProps.Of(flow, host.Slot, from), host.Slot);
        }
        catch (UserErrorException error)
        {
            host.Run.Tell(new RoleFailed(host.Epoch, host.Slot, default, error.Message, Repair.None, error.ExitCode));
        }
        catch (Exception error)
        {
            // Storage that is away for a moment, or a fault of the host. An actor that fails is made anew and has forgotten
            // what it hosts, and whoever asked would never hear why.
            _log.Error(error, "{0} could not be hosted.", host.Slot);
            host.Run.Tell(new RoleFailed(host.Epoch, host.Slot, default, $"{host.Slot} could not be hosted by {_node.Card.Name}: {error.Message}", Repair.Rewind));
        }
    }

    private void End(string slot)
    {
        _wanted.Remove(slot);
        var child = Context.Child(slot);
        if (child.IsNobody() || !_ending.Add(child))
            return;
        Context.Watch(child);
        Context.Stop(child);
        Timers.StartSingleTimer(Ending, new GracePassed(), Grace);
    }

    private void EndAll()
    {
        _cancel.Cancel();
        foreach (var child in Context.GetChildren().Where(child => !child.Equals(_exchange)))
            End(child.Path.Name);
        _wanted.Clear();
    }

    private void GoOn(IActorRef ended)
    {
        _ending.Remove(ended);
        if (_ending.Count > 0)
            return;
        Timers.Cancel(Ending);
        UseIfAsked();
        foreach (var host in _wanted.Values.ToArray())
            Start(host);
    }

    private void Exchange(IAskedOfNode asked)
    {
        // The desk outlives those who ask for one exchange.
        var isOfDesk = asked.Step == PrepareSwap.OfDesk;
        if (isOfDesk)
            _desk = Sender;

        // Roles that end may hold what an exchange that was broken off put here, and the next gives that up. The desk asks again.
        var mustWait = isOfDesk && asked is PrepareSwap && _ending.Count > 0;
        if (!mustWait)
            _exchange.Forward(asked);
    }

    // What an older attempt left here ends first: it may hold objects of what is exchanged.
    private void Use(UsePlugins use)
    {
        EndAll();
        _use = (Sender, use.Versions);
        if (_ending.Count == 0)
            UseIfAsked();
    }

    private void UseIfAsked()
    {
        if (_use is not var (asker, versions))
            return;
        _use = null;
        try
        {
            _node.Run.Plugins!.Use(versions);
            asker.Tell(PluginsUsed.Done);
        }
        catch (UserErrorException error)
        {
            asker.Tell(new PluginsUsed(error.ExitCode, error.Message));
        }
        catch (Exception error)
        {
            // The run waits for this answer, whatever went wrong.
            _log.Error(error, "The recorded plugins could not be used.");
            asker.Tell(new PluginsUsed(ExitCode.Failed, $"The plugins that the run has could not be used by {_node.Card.Name}: {error.Message}"));
        }
    }

    // Whoever leaves gives back what he has: batches go to others, state is written first.
    private void Leave()
    {
        if (_run.IsNobody())
            Self.Tell(new LeaveNow());
        else
            _run.Tell(new NodeLeaving(_node.Card.Name));
    }

    private sealed record GracePassed;

    /// <summary>The user wants this node to go.</summary>
    internal sealed record WantsToLeave;
}
