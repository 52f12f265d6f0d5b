using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;
using AkkaCluster = Akka.Cluster.Cluster;

namespace ColossalChat.Cluster;

/// <summary>What a node needs to lead a run, should it come to that.</summary>
public sealed record CoordinatorDefinition
{
    /// <summary>Section <c>cluster</c>.</summary>
    public required ClusterOptions Cluster { get; init; }

    /// <summary>This node.</summary>
    public required NodeCard Card { get; init; }

    /// <summary>Numbers the attempts of all coordinators.</summary>
    public required CoordinatorTerm Term { get; init; }

    /// <summary>When this process began: what ended before it is gone on with.</summary>
    public required DateTimeOffset Began { get; init; }

    /// <summary>Opens the run's folder where it was left, to write into it until the result is disposed.</summary>
    /// <exception cref="UserErrorException">It cannot be gone on with.</exception>
    public required Func<LedRun> Open { get; init; }
}

/// <summary>A run that this process leads.</summary>
/// <param name="Definition">What is to be done.</param>
/// <param name="Ended">Told how it ended, and closes what was open; null when another process leads the run by now.</param>
public sealed record LedRun(RunDefinition Definition, Action<RunEnd?> Ended);

/// <summary>
/// Leads a run: there is one in the cluster, on the oldest node that may. What it knows is in the run folder, so that
/// another goes on where it was.
/// </summary>
internal sealed class CoordinatorActor : ReceiveActor
{
    private readonly CoordinatorDefinition _coordinator;
    private readonly CancellationTokenSource _stop = new();
    private readonly ILoggingAdapter _log = Context.GetLogger();
    private LedRun? _run;
    private bool _isHandingOver;

    public CoordinatorActor(CoordinatorDefinition coordinator)
    {
        _coordinator = coordinator;
        Receive<RunEnd>(End);
        Receive<HandOver>(_ =>
        {
            _isHandingOver = true;
            _stop.Cancel();
            if (_run is null)
                Context.Stop(Self);
        });
    }

    protected override void PreStart()
    {
        var term = _coordinator.Term;
        if (term.EndedSince(_coordinator.Began) is { } over)
        {
            Tell(over);
            return;
        }

        try
        {
            var opened = _coordinator.Open();
            var run = _run = opened with { Definition = opened.Definition with { RequestStop = _stop.Cancel } };
            var (end, self) = (new TaskCompletionSource<RunEnd>(TaskCreationOptions.RunContinuationsAsynchronously), Self);
            var (stop, spread) = (_stop.Token, new SpreadOptions(_coordinator.Cluster, _coordinator.Card, term));
            Context.ActorOf(Props.Create(() => new SpreadRunActor(run.Definition, spread, end, stop)).WithDispatcher(RunHocon.IoDispatcher), "run");
            end.Task.PipeTo(self);
        }
        catch (UserErrorException error)
        {
            End(new RunOver(error.ExitCode, error.Message));
        }
    }

    protected override void PostStop()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    private void End(RunEnd end)
    {
        var run = _run;
        _run = null;
        run?.Ended(IsMine() ? end : null);
        if (_isHandingOver)
            Context.Stop(Self);
        else
            End(new RunOver(end.ExitCode, end.Failure ?? $"Ended after iteration {end.LastIteration}."));
    }

    // Whoever was replaced writes nothing more, not even how it ended for him.
    private bool IsMine()
    {
        try
        {
            _coordinator.Term.Require();
            return true;
        }
        catch (UserErrorException)
        {
            return false;
        }
    }

    private void End(RunOver over)
    {
        try
        {
            _coordinator.Term.End(over);
        }
        catch (UserErrorException error)
        {
            // Another leads the run; the nodes are his.
            _log.Warning("{0}", error.Message);
            Context.Stop(Self);
            return;
        }

        Tell(over);
    }

    private static void Tell(RunOver over)
    {
        foreach (var member in AkkaCluster.Get(Context.System).State.Members)
            Context.ActorSelection($"{member.Address}/user/{MembersActor.NodeActorName}").Tell(over);
    }

    /// <summary>Another node takes over: end after the running iteration.</summary>
    internal sealed record HandOver;
}
