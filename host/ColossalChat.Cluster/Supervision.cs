using Akka.Actor;
using Akka.Event;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

// What a run's supervisor hears and says. Epochs count the attempts of a run: whoever speaks of an older one is late.

/// <summary>A role actor -> RunActor: a call of the role failed, and the actor waits for <see cref="RestartRole"/>.</summary>
/// <param name="Epoch">The attempt it belonged to.</param>
/// <param name="Role">The role's slot, such as <c>rollout</c>.</param>
/// <param name="Batch">The batch it worked on.</param>
/// <param name="Reason">What happened.</param>
/// <param name="Repair">What can be done about it.</param>
/// <param name="ExitCode">Of a failure that no restart mends.</param>
internal sealed record RoleFailed(
    long Epoch, string Role, BatchId Batch, string Reason, Repair Repair, ExitCode ExitCode = ExitCode.Failed) : IWireMessage
{
    /// <summary>Tells the failures of one role apart; the same one may be told twice.</summary>
    public long Ticket { get; init; }

    /// <summary>False for a role that was never made: its node could not host it.</summary>
    public bool IsOfRole => Ticket > 0;
}

/// <summary>How a failed role can be mended.</summary>
internal enum Repair
{
    /// <summary>Make the role anew and repeat the batch.</summary>
    Restart,

    /// <summary>Its state is spoilt: make all roles anew, restore them from the last safe point, repeat from there.</summary>
    Rewind,

    /// <summary>Not at all.</summary>
    None,
}

/// <summary>RunActor -> the actor that failed: make the role anew and repeat the batch.</summary>
internal sealed record RestartRole : IWireMessage;

/// <summary>IterationActor -> RunActor: all roles are there.</summary>
internal sealed record FlowOpened(long Epoch, long FirstIteration, long Iterations, IReadOnlyList<string> Remarks);

/// <summary>IterationActor -> SpreadRunActor: one that computes with published weights is there, and whether it has a state of its own.</summary>
internal sealed record ReaderOpened(long Epoch, string Slot, bool HasState);

/// <summary>IterationActor -> RunActor: an iteration or a measurement ended.</summary>
internal sealed record IterationEnded(long Epoch, IterationReport Report);

/// <summary>IterationActor -> RunActor: something to note.</summary>
internal sealed record FlowNoted(long Epoch, string Kind, string Message) : IWireMessage;

/// <summary>IterationActor -> RunActor: a state to go back to; the older one comes back as <see cref="SpareState"/>.</summary>
internal sealed record SafePointTaken(long Epoch, RunState State);

/// <summary>RunActor -> IterationActor: memory of a state that is no longer needed; nobody misses it in an attempt that has ended.</summary>
internal sealed record SpareState(RunState State) : IDeadLetterSuppression;

/// <summary>IterationActor -> RunActor: put this on disk while training goes on. Not before the last one is written.</summary>
internal sealed record CheckpointDue(long Epoch, RunState State);

/// <summary>CheckpointActor -> RunActor: it could not be written.</summary>
internal sealed record CheckpointFailed(ExitCode ExitCode, string Reason);

/// <summary>RunActor -> IterationActor: a checkpoint could not be written; the run goes on with the one before.</summary>
/// <param name="LastSaved">Iteration of the one before.</param>
/// <param name="Reason">What happened.</param>
internal sealed record CheckpointSkipped(long LastSaved, string Reason);

/// <summary>RunActor -> IterationActor: write a checkpoint after this iteration.</summary>
internal sealed record SaveSoon;

/// <summary>ControlActor -> RunActor: the user wants a node to leave; the answer is a <see cref="ControlAnswer"/>.</summary>
internal sealed record NodeAskedToLeave(string Node);

/// <summary>RunActor -> IterationActor: these roles' nodes are gone.</summary>
internal sealed record SlotsLost(IReadOnlyList<string> Slots);

/// <summary>IterationActor -> RunActor: roles whose state nobody else has were lost with their nodes.</summary>
internal sealed record StateLost(long Epoch, IReadOnlyList<string> Slots);

/// <summary>RunActor -> IterationActor: have this role hosted there.</summary>
internal sealed record SlotPlaced(string Slot, IActorRef Node);

/// <summary>IterationActor -> RunActor: the flow came to its end.</summary>
internal sealed record FlowEnded(long Epoch, long LastIteration, bool IsStopped, IReadOnlyDictionary<string, string> ModelFolders);
