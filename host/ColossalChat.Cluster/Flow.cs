using System.Collections.Immutable;
using Akka.Actor;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

// Every message of a run, in the order they are sent. A verb asks, a past tense tells; none asks back. Each names its
// batch or its iteration and where its outcome goes next. What is late is dropped by its id. An IWireMessage may cross to
// another node and has its line in Wire/FlowMessages.cs; the others stay in their process.

// ---- Online: prompts -> rollouts -> scores -> experience -> training ----

/// <summary>Who takes part in an online run, wherever they run. Roles that read weights may be there several times.</summary>
/// <param name="Rollouts">Each writes answers; a batch goes to one of them.</param>
/// <param name="Scorers">For each kind of score those that give it; a batch goes to one of each kind.</param>
public sealed record Pools(IReadOnlyList<IActorRef> Rollouts, IReadOnlyList<IReadOnlyList<IActorRef>> Scorers);

/// <summary>IterationActor -> PromptActor: from now on these take part. Batches of those that are gone go to others.</summary>
/// <param name="Pools">Everyone that is there.</param>
public sealed record PoolsChanged(Pools Pools);

/// <summary>Where the batches of a window pass.</summary>
/// <param name="Prompts">Gets credits back.</param>
/// <param name="Scorers">Score a batch in parallel; the prompt actor chooses them for each batch.</param>
/// <param name="Experience">Joins what belongs together.</param>
/// <param name="Training">Trains on it.</param>
public sealed record Route(
    IActorRef Prompts, IReadOnlyList<IActorRef> Scorers, IActorRef Experience, TrainingRoute Training);

/// <summary>All batches of one iteration and purpose: what an experience role sees at once.</summary>
/// <param name="Iteration">From 1; 0 for the measurement before training.</param>
/// <param name="Purpose">Training and measuring windows never meet.</param>
/// <param name="Batches">How many; shards run from 0 to one less.</param>
/// <param name="Route">Where they pass.</param>
public sealed record Window(long Iteration, BatchPurpose Purpose, int Batches, Route Route);

/// <summary>IterationActor -> PromptActor: begin this window; again: send what is still missing again.</summary>
/// <param name="Window">The window.</param>
/// <param name="Prompts">Different prompts in all.</param>
/// <param name="AnswersPerPrompt">Rows for each prompt.</param>
/// <param name="RowsPerBatch">Rows of a batch at most; an answer group is never split. 0 for one batch.</param>
public sealed record StartIteration(Window Window, int Prompts, int AnswersPerPrompt, int RowsPerBatch) : IWireMessage;

/// <summary>IterationActor -> ExperienceActor: what this window became may not have arrived; tell all of it again.</summary>
/// <param name="Batch">The window; its shard is 0.</param>
public sealed record ResendWindow(BatchId Batch);

/// <summary>PromptActor -> RolloutActor, one credit each: answer these prompts.</summary>
public sealed record GenerateRollout(BatchId Batch, Window Window, PromptBatch Prompts) : IWireMessage;

/// <summary>RolloutActor -> every ScoringActor: score this rollout.</summary>
public sealed record ScoreRollout(BatchId Batch, Window Window, Rollout Rollout) : IWireMessage;

/// <summary>RolloutActor -> ExperienceActor: the answers; <c>Took</c> is the time of the role's call.</summary>
public sealed record RolloutDone(BatchId Batch, Window Window, Rollout Rollout, TimeSpan Took) : IWireMessage;

/// <summary>ScoringActor -> ExperienceActor: scores of one kind; rows that failed say so themselves.</summary>
public sealed record RolloutScored(BatchId Batch, Window Window, Scores Scores, TimeSpan Took) : IWireMessage
{
    /// <summary>Which rollout it is of, where a batch may be written twice and differently (<see cref="RolloutMark"/>); 0 elsewhere.</summary>
    public long Mark { get; init; }
}

/// <summary>ExperienceActor -> PromptActor, where a batch may be written twice: of this batch these answers count, whoever writes others.</summary>
internal sealed record RolloutJoined(BatchId Batch, Rollout Rollout);

/// <summary>ExperienceActor -> IterationActor, where rollouts may be stale: all of a training window is there.</summary>
internal sealed record WindowWhole(long Iteration);

/// <summary>IterationActor -> ExperienceActor, where rollouts may be stale: windows up to this one may go on to the trainers.</summary>
/// <param name="Iteration">The iteration that begins to train.</param>
/// <param name="Weights">Content hash of each trained model as it begins.</param>
internal sealed record TrainWindow(long Iteration, ImmutableSortedDictionary<string, string> Weights);

/// <summary>ExperienceActor -> PromptActor: all parts of a batch have come; its credit is free.</summary>
public sealed record BatchJoined(BatchId Batch) : IWireMessage;

/// <summary>What a window or batch holds, over all ranks.</summary>
/// <param name="Rows">Sequences.</param>
/// <param name="Tokens">Tokens of whole sequences.</param>
/// <param name="Written">Tokens that the policy wrote; 0 offline.</param>
public readonly record struct WindowSize(int Rows, long Tokens, long Written);

/// <summary>ExperienceActor -> IterationActor: a training window went on to the trainers.</summary>
/// <param name="Iteration">Which.</param>
/// <param name="Size">What the window holds.</param>
/// <param name="Metrics">The role's numbers and the window's timings in seconds.</param>
/// <param name="Samples">Rows to read.</param>
public sealed record ExperienceBuilt(
    long Iteration, WindowSize Size, IReadOnlyDictionary<string, double> Metrics, IReadOnlyList<SampleRow> Samples) : IWireMessage;

/// <summary>ExperienceActor -> IterationActor: a measuring window is done.</summary>
public sealed record WindowMeasured(
    long Iteration, WindowSize Size, IReadOnlyDictionary<string, double> Metrics, IReadOnlyList<SampleRow> Samples) : IWireMessage;

// ---- Offline: dataset -> training ----

/// <summary>IterationActor -> BatchActor: send this iteration's batch to the trainers.</summary>
public sealed record StartBatch(long Iteration, TrainingRoute Route) : IWireMessage;

/// <summary>BatchActor -> IterationActor: the batch went on to the trainers.</summary>
public sealed record BatchTaken(long Iteration, WindowSize Size) : IWireMessage;

/// <summary>IterationActor -> TrainerActor[model, 0]: measure held-out sequences.</summary>
public sealed record EvaluateHeldOut(long Iteration, IReadOnlyList<Experience> HeldOut) : IWireMessage;

/// <summary>TrainerActor -> IterationActor: the measurement.</summary>
public sealed record HeldOutEvaluated(long Iteration, TrainerId Trainer, IReadOnlyDictionary<string, double> Metrics) : IWireMessage;

// ---- Both: training ----

/// <summary>One rank of one trained model.</summary>
/// <param name="Model">Such as <c>policy</c>.</param>
/// <param name="Rank">From 0.</param>
public readonly record struct TrainerId(string Model, int Rank)
{
    /// <inheritdoc/>
    public override string ToString() => Rank == 0 ? Model : $"{Model}@{Rank}";
}

/// <summary>Where experience goes.</summary>
/// <param name="Trainers">Every rank of every model.</param>
/// <param name="Ranks">Ranks of each model.</param>
/// <param name="Iterations">Iterations of the whole run; schedules need it.</param>
public sealed record TrainingRoute(IReadOnlyDictionary<TrainerId, IActorRef> Trainers, int Ranks, long Iterations)
{
    /// <summary>Gives every trainer its rank's share.</summary>
    internal void Tell(FlowContext flow, long iteration, IReadOnlyList<Experience> perRank)
    {
        var (mostRows, targets) = (perRank.Max(share => share.Rows), perRank.Sum(share => share.TargetTokens));
        foreach (var (trainer, actor) in Trainers)
            flow.Post(actor, new TrainShard(
                new BatchId(iteration, trainer.Rank),
                new TrainRequest(iteration, Iterations, perRank[trainer.Rank]) { MostRows = mostRows, GroupTargetTokens = targets }));
    }
}

/// <summary>ExperienceActor or BatchActor -> TrainerActor[model, rank]: train on this; the batch's shard is the rank.</summary>
public sealed record TrainShard(BatchId Batch, TrainRequest Request) : IWireMessage;

/// <summary>TrainerActor -> IterationActor: how many optimiser steps it will make.</summary>
public sealed record ShardBegun(BatchId Batch, TrainerId Trainer, int Steps) : IWireMessage;

/// <summary>TrainerActor -> IterationActor: the gradients of a step are there, finite or not.</summary>
public sealed record StepComputed(BatchId Batch, TrainerId Trainer, int Step, bool IsFinite) : IWireMessage;

/// <summary>IterationActor -> every TrainerActor of the step: all apply, or all skip.</summary>
public sealed record FinishStep(BatchId Batch, int Step, bool Apply) : IWireMessage;

/// <summary>
/// IterationActor -> TrainerActor: it has the batch, and what it said of its first step may be lost; say it again. Instead of the
/// whole shard, which may be large.
/// </summary>
public sealed record RepeatStep(BatchId Batch) : IWireMessage;

/// <summary>TrainerActor -> IterationActor: the iteration's steps are done; <c>Took</c> is the time of all its calls.</summary>
public sealed record ShardTrained(BatchId Batch, TrainerId Trainer, IReadOnlyDictionary<string, double> Metrics, TimeSpan Took) : IWireMessage;

/// <summary>IterationActor -> every TrainerActor: give your weights together; rank 0 tells all readers.</summary>
public sealed record PublishWeights(long Iteration, long Epoch, long Version, IReadOnlyList<IActorRef> Readers) : IWireMessage;

/// <summary>TrainerActor[model, 0] -> RolloutActor, ScoringActors: fetch these through the lane.</summary>
public sealed record WeightsReady(long Iteration, WeightsPublication Publication) : IWireMessage;

/// <summary>RolloutActor, ScoringActors -> IterationActor; all in: next iteration.</summary>
public sealed record WeightsLoaded(long Iteration, string Reader, WeightsPublication Publication) : IWireMessage;

// ---- Beginning, saving, ending ----

/// <summary>A role actor -> IterationActor: the role exists and has its state.</summary>
public sealed record RoleOpened(long Iteration, string Role, RoleFacts Facts) : IWireMessage;

/// <summary>What a role says about itself and its data when it is opened; zero and empty for most roles.</summary>
public sealed record RoleFacts
{
    /// <summary>True for a role whose state is captured and restored.</summary>
    public bool HasState { get; init; }

    /// <summary>Held-out prompts of a prompt source.</summary>
    public int HeldOutPrompts { get; init; }

    /// <summary>Iterations of a batch source.</summary>
    public long Iterations { get; init; }

    /// <summary>Held-out sequences of a batch source.</summary>
    public IReadOnlyList<Experience> HeldOut { get; init; } = [];

    /// <summary>Numbers about the data.</summary>
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>();

    /// <summary>What to tell the user about the data.</summary>
    public IReadOnlyList<string> Remarks { get; init; } = [];
}

/// <summary>IterationActor -> actors of stateful roles, between iterations: write your state into this image.</summary>
/// <param name="Iteration">Last finished one.</param>
/// <param name="Number">Counts the copies of an attempt.</param>
/// <param name="Image">Gets the state.</param>
public sealed record CaptureState(long Iteration, long Number, StateImage Image);

/// <summary>Actor of a stateful role -> IterationActor: the image is complete.</summary>
public sealed record StateCaptured(long Iteration, string Role, StateImage Image);

/// <summary>RunActor -> CheckpointActor: put the run's state on disk.</summary>
public sealed record SaveCheckpoint(long Iteration, RunState State);

/// <summary>CheckpointActor -> RunActor -> IterationActor: it is on disk, whole.</summary>
public sealed record CheckpointSaved(long Iteration, string Folder, TimeSpan Took)
{
    /// <summary>What did not go well although it is.</summary>
    public IReadOnlyList<string> Remarks { get; init; } = [];
}

/// <summary>IterationActor -> every TrainerActor: write the model as a folder together.</summary>
public sealed record ExportModel(long Iteration, string Folder) : IWireMessage;

/// <summary>TrainerActor -> IterationActor: it is written, or this rank's part was lent.</summary>
public sealed record ModelExported(long Iteration, TrainerId Trainer, string Folder) : IWireMessage;
