using Akka.Actor;

namespace ColossalChat.Cluster.Tests;

/// <summary>
/// A node for all roles but the prompts, in the same process, to which and from which messages are lost, doubled and, when
/// they would travel beside the others, late. Which ones follows from their number.
/// </summary>
/// <param name="slots">Slots that it hosts from the beginning.</param>
internal sealed class LossyLines(params string[] slots)
{
    private const string RunName = "run-lossy";
    private int _count;

    /// <summary>The node's own run definition for a slot.</summary>
    public Func<string, RunDefinition, RunDefinition> Own { get; init; } = (_, run) => run;

    /// <summary>All messages arrive, once and in order.</summary>
    public bool AreFaultless { get; init; }

    /// <summary>Messages that never arrive.</summary>
    public Predicate<object> IsLost { get; init; } = _ => false;

    /// <summary>Hears of each message that comes to a slot's role, with the node and who leads the attempt.</summary>
    public Action<string, object, IActorRef, IActorRef> Delivered { get; init; } = (_, _, _, _) => { };

    /// <summary>Messages that were lost, doubled or late.</summary>
    public int Faults { get; private set; }

    /// <summary>Starts a run, with its supervisor in this process.</summary>
    public async Task<RunEnd> StartAsync(ActorSystem system, RunDefinition run, CancellationToken stop)
    {
        var end = new TaskCompletionSource<RunEnd>(TaskCreationOptions.RunContinuationsAsynchronously);
        var node = system.ActorOf(Props.Create(() => new Node(this, run)));
        var places = slots.ToDictionary(slot => slot, _ => (IActorRef?)node);
        places[RoleSlots.Prompts] = null;
        system.ActorOf(Props.Create(() => new PlacedRun(run, end, places, stop)).WithDispatcher(RunHocon.IoDispatcher), RunName);
        return await end.Task.ConfigureAwait(false);
    }

    private Fault FaultOf(object message)
    {
        if (IsLost(message))
            return Fault.Lost;
        // What stays in the coordinator's process is never lost.
        if (AreFaultless || message is not IWireMessage or RoleOpened or Parcel or CaptureShard or ShardCaptured)
            return Fault.None;
        var fault = (((Interlocked.Increment(ref _count) * 2654435761L) >> 12) % 16) switch
        {
            0 => Fault.Lost,
            1 => Fault.Doubled,
            2 when message is TrainShard or GenerateRollout or ScoreRollout or RolloutDone or RolloutScored => Fault.Late,
            _ => Fault.None,
        };
        if (fault != Fault.None)
            Faults++;
        return fault;
    }

    private enum Fault
    {
        None,
        Lost,
        Doubled,
        Late,
    }

    private sealed class PlacedRun(RunDefinition run, TaskCompletionSource<RunEnd> end, IReadOnlyDictionary<string, IActorRef?> places, CancellationToken stop)
        : RunActor(run, end, stop)
    {
        protected override void StartAttempt(RunState? from) => StartAttempt(from, places, meet: "");
    }

    private sealed class Node : ReceiveActor
    {
        public Node(LossyLines lines, RunDefinition run)
        {
            var journal = Context.ActorOf(Props.Create(() => new JournalLine()));
            Receive<HostRole>(host =>
            {
                // As on a real node: roles of an older attempt end first. Whoever leads the new one asks again.
                var older = Context.GetChildren().Where(line => line.Path.Name.Contains('-', StringComparison.Ordinal) && !line.Path.Name.EndsWith($"-{host.Epoch}", StringComparison.Ordinal)).ToArray();
                if (older.Length > 0)
                {
                    foreach (var line in older)
                        Context.Stop(line);
                    return;
                }

                var name = $"{host.Slot}-{host.Epoch}";
                if (Context.Child(name) is { } there && !there.IsNobody())
                    there.Tell(host);
                else
                    Context.ActorOf(Props.Create(() => new Line(lines, lines.Own(host.Slot, run), host, journal)), name);
            });
        }
    }

    // The journal stays with the run's supervisor; what it is told is never lost.
    private sealed class JournalLine : ReceiveActor
    {
        public JournalLine() => ReceiveAny(message => Context.ActorSelection($"/user/{RunName}/journal").Tell(message, Sender));
    }

    // To others it is the role's actor, and to the role's actor who leads the attempt.
    private sealed class Line : ReceiveActor
    {
        private const int MostLate = 3;
        private readonly Queue<Action> _late = new();

        public Line(LossyLines lines, RunDefinition run, HostRole host, IActorRef journal)
        {
            var from = host.Checkpoint.Length == 0 ? null : Checkpoints.Open(host.Checkpoint).State;
            var flow = new FlowContext(run, host.Run, Self, host.Epoch, CancellationToken.None, CancellationToken.None) { Journal = journal };
            var (role, node) = (Context.ActorOf(RoleProps.Of(flow, host.Slot, from)), Context.Parent);
            ReceiveAny(message =>
            {
                var (sender, self) = (Sender, Self);
                var fault = lines.FaultOf(message);
                void Deliver()
                {
                    if (sender.Equals(role))
                        host.Iteration.Tell(message, self);
                    else
                        role.Tell(message, sender);
                }

                if (fault == Fault.Late)
                    _late.Enqueue(Deliver);
                else if (fault != Fault.Lost)
                    Deliver();
                if (fault == Fault.Doubled)
                    Deliver();
                if (_late.Count > MostLate)
                    _late.Dequeue()();
                if (!sender.Equals(role))
                    lines.Delivered(host.Slot, message, node, host.Iteration);
            });
        }
    }
}
