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

    /// <summary><see cref="CoordinatorTerm.Mark"/> when this process began: what ended before it is gone on with.</summary>
    public required string Mark { get; init; }

    /// <summary>Told why this process must end: it leads, and the run is another's.</summary>
    public required Action<string> Abandon { get; init; }

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
        try
        {
            var term = _coordinator.Term;
            if (term.EndedSince(_coordinator.Mark) is { } over)
            {
                Tell(over);
                return;
            }

            // Before the folder is opened: whoever led before is to touch nothing of what is read there.
            term.Lead();
            var opened = _coordinator.Open();
            var run = _run = opened with { Definition = opened.Definition with { RequestStop = _stop.Cancel } };
            var (end, self) = (new TaskCompletionSource<RunEnd>(TaskCreationOptions.RunContinuationsAsynchronously), Self);
            var (stop, spread) = (_stop.Token, new SpreadOptions(_coordinator.Cluster, _coordinator.Card, term));
            Context.ActorOf(Props.Create(() => new SpreadRunActor(run.Definition, spread, end, stop)).WithDispatcher(RunHocon.IoDispatcher), "run");
            end.Task.PipeTo(self);
        }
        catch (Exception error)
        {
            // An actor that fails here is stopped, no other takes its place, and the nodes would wait for ever.
            _log.Error(error, "The run could not be opened.");
            End(new RunOver(CodeOf(error), error is UserErrorException ? error.Message : $"The run could not be opened by {_coordinator.Card.Name}: {error.Message}"));
        }
    }

    private static ExitCode CodeOf(Exception error) => error switch
    {
        UserErrorException { ExitCode: var code } => code,
        IOException or UnauthorizedAccessException => ExitCode.Resource,
        _ => ExitCode.Failed,
    };

    protected override void PostStop()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    private void End(RunEnd end)
    {
        var run = _run;
        _run = null;
        Close(run, end);
        if (_isHandingOver)
            Context.Stop(Self);
        else
            End(new RunOver(end.ExitCode, end.Failure ?? $"Ended after iteration {end.LastIteration}."));
    }

    // The nodes must hear of the end although it cannot be written down.
    private void Close(LedRun? run, RunEnd end)
    {
        try
        {
            run?.Ended(IsMine() ? end : null);
        }
        catch (Exception error)
        {
            _log.Error(error, "The end of the run could not be recorded.");
        }
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
            // Another leads the run; the nodes are his. Should this one still be the cluster's choice, another is chosen without it.
            _log.Warning("{0}", error.Message);
            _coordinator.Abandon(error.Message);
            Context.Stop(Self);
            return;
        }
        catch (Exception error)
        {
            _log.Error(error, "How the run ended could not be written into its folder.");
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
