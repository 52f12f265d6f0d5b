using System.Collections.Immutable;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

// What the journal hears and says. It lives beside the run's supervisor and outlives attempts, so each message names its epoch.

/// <summary>RunActor -> JournalActor: a new attempt goes on from the state after this iteration.</summary>
internal sealed record BeginEpoch(long Epoch, long After)
{
    /// <summary>Versions of plugins that its roles are made with in place of those that the process was started with.</summary>
    public IReadOnlyList<PluginCopy> Exchanged { get; init; } = [];
}

/// <summary>IterationActor -> JournalActor: a training window begins; what is there of it already?</summary>
/// <param name="Epoch">The attempt.</param>
/// <param name="Iteration">Which.</param>
/// <param name="Batches">How many.</param>
/// <param name="Weights">Content hash of each published model that its answers and scores will come from.</param>
internal sealed record OpenWindow(long Epoch, long Iteration, int Batches, ImmutableSortedDictionary<string, string> Weights)
{
    /// <summary>
    /// Above 0 the weights that write the window are not known when it begins; the answers' versions tell, and may be so much
    /// older than the window.
    /// </summary>
    public int Staleness { get; init; }
}

/// <summary>JournalActor -> IterationActor: these parts were made before from the same weights, and are the same.</summary>
/// <param name="Iteration">Which.</param>
/// <param name="Parts">By shard; the batches that have any.</param>
internal sealed record WindowOpened(long Iteration, ImmutableSortedDictionary<int, BatchParts> Parts);

/// <summary>ExperienceActor -> JournalActor: this part has come. One of the two is null.</summary>
internal sealed record KeepPart(long Epoch, BatchId Batch, Rollout? Rollout, Scores? Scores);

/// <summary>ExperienceActor -> JournalActor: the window's experience goes to the trainers.</summary>
/// <param name="Epoch">The attempt.</param>
/// <param name="Iteration">Which.</param>
/// <param name="Weights">Content hash of each model that begins to train on it; empty where the window's own tell.</param>
internal sealed record KeepHandOut(long Epoch, long Iteration, ImmutableSortedDictionary<string, string> Weights);

/// <summary>IterationActor -> JournalActor: all trainers have used it, and these weights came of it.</summary>
internal sealed record KeepAcknowledgement(long Epoch, long Iteration, ImmutableSortedDictionary<string, string> Weights);

/// <summary>IterationActor -> JournalActor: a plugin was exchanged; what comes from now on is of another origin than what came before.</summary>
/// <param name="Epoch">The attempt.</param>
/// <param name="Exchanged">As <see cref="BeginEpoch.Exchanged"/>, from now on.</param>
internal sealed record ChangeOrigin(long Epoch, IReadOnlyList<PluginCopy> Exchanged);

/// <summary>RunActor -> JournalActor: the run ends; write what has come and answer with <see cref="JournalClosed"/>.</summary>
internal sealed record CloseJournal;

/// <summary>JournalActor -> RunActor: nothing more will be written.</summary>
internal sealed record JournalClosed;

/// <summary>
/// IterationActor -> PromptActor, before <see cref="StartIteration"/>: these parts need not be made again. Stays in one process,
/// because it may be as large as a window.
/// </summary>
internal sealed record UseKnown(long Iteration, ImmutableSortedDictionary<int, BatchParts> Parts)
{
    /// <summary>What a batch has; null when it must be made.</summary>
    public BatchParts? Of(BatchId batch) =>
        batch.Iteration == Iteration && batch.Purpose == BatchPurpose.Train ? Parts.GetValueOrDefault(batch.Shard) : null;
}
