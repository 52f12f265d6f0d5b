namespace ColossalChat.Contracts;

// Roles of the online flow in the order a batch meets them. All methods are synchronous, called one at a time on a
// thread that the host owns, and must return or throw within a second of their token's cancellation.

/// <summary>Renders data rows with template and tokenizer of the policy's model folder and hands out prompts.</summary>
public interface IPromptSource : IStatefulRole
{
    /// <summary>
    /// Called once before the first batch. Sources that know <see cref="StagePlan.PromptsPerIteration"/> can walk
    /// through their data epoch by epoch; the default ignores it.
    /// </summary>
    void Begin(StagePlan plan)
    {
    }

    /// <summary>
    /// The rows of one batch: a pure function of seed, data and arguments, so a replay asks for the same prompts again.
    /// </summary>
    /// <param name="batch">Iteration, shard and purpose.</param>
    /// <param name="firstPrompt">Index of the batch's first prompt within its iteration.</param>
    /// <param name="prompts">Different prompts wanted.</param>
    /// <param name="answersPerPrompt">Rows for each prompt, adjacent.</param>
    PromptBatch Take(BatchId batch, int firstPrompt, int prompts, int answersPerPrompt);

    /// <summary>Held-out prompts there are for measuring; 0 when the data has none.</summary>
    int HeldOutPrompts { get; }
}

/// <summary>
/// The Actor of RLHF: writes answers with the policy. Without state of its own it is made anew when it fails, gets the
/// newest weights and repeats the batch. One whose answers depend on more than prompts, weights and seed implements
/// <see cref="IStatefulRole"/> too: its state is then saved and restored with the run's, and when it fails the run goes
/// back to its last state.
/// </summary>
public interface IRolloutRole : IDisposable
{
    /// <summary>Answers every row. Randomness is keyed by seed, iteration, prompt, sample and position.</summary>
    /// <param name="prompts">What to answer.</param>
    /// <param name="cancel">The host no longer wants the answer.</param>
    /// <returns>
    /// One row a prompt, in the prompts' order, with <paramref name="prompts"/> in it. The host refuses per-token columns
    /// whose shape is not that of the tokens, and log-probabilities that are not finite.
    /// </returns>
    Rollout Generate(PromptBatch prompts, CancellationToken cancel);

    /// <summary>Takes over newly published weights; rollouts after it carry <see cref="WeightsPublication.Version"/>.</summary>
    void LoadWeights(WeightsPublication publication, CancellationToken cancel);
}

/// <summary>
/// A rollout role that takes new weights in the middle of an answer. The host asks it this way where rollouts may be stale.
/// </summary>
public interface IInterruptibleRollout : IRolloutRole
{
    /// <summary>
    /// As <see cref="IRolloutRole.Generate"/>, except that weights which arrive meanwhile may be taken between two tokens.
    /// Each token's version and log-probability are those of the weights that drew it.
    /// </summary>
    /// <param name="prompts">What to answer.</param>
    /// <param name="inbox">Weights that arrive while the call runs.</param>
    /// <param name="cancel">The host no longer wants the answer.</param>
    Rollout Generate(PromptBatch prompts, IWeightInbox inbox, CancellationToken cancel);
}

/// <summary>Weights that were published while a role computes. Safe to use from several threads.</summary>
public interface IWeightInbox
{
    /// <summary>
    /// The newest publication of a model that was not taken yet; null when there is none. What is taken need not be loaded:
    /// the host has the role load it after its call in any case.
    /// </summary>
    WeightsPublication? Take(string model);
}

/// <summary>New weights of a trained model.</summary>
/// <param name="Model">Name of the model, such as <c>policy</c>.</param>
/// <param name="Epoch">Fences off a publisher that was replaced: lower epochs are ignored.</param>
/// <param name="Version">Counts updates, from 1 at the start of the run.</param>
/// <param name="ContentHash">Hash of all weights; equal weights have equal hashes.</param>
/// <param name="Blob">Where the bytes are; null when every reader borrows the trainer's own model.</param>
public sealed record WeightsPublication(string Model, long Epoch, long Version, string ContentHash, BlobReference? Blob)
{
    /// <summary>Node of the publisher; whoever computes in the same process borrows its model and needs no bytes.</summary>
    public string Publisher { get; init; } = "";
}

/// <summary>
/// A reference, critic or reward model, or a rule. Without state of its own it is made anew when it fails, gets the newest
/// weights and repeats the batch. One whose scores depend on what it scored before (a running mean) implements
/// <see cref="IStatefulRole"/> too: its state is then saved and restored with the run's, and when it fails the run goes
/// back to its last state.
/// </summary>
public interface IScoringRole : IDisposable
{
    /// <summary>Fixed for the life of the role.</summary>
    ScoreKind Kind { get; }

    /// <summary>Scores one rollout.</summary>
    /// <param name="rollout">What the policy wrote.</param>
    /// <param name="cancel">The host no longer wants the scores.</param>
    /// <returns>
    /// One outcome a row. The host refuses values that have another shape than their <see cref="ScoreKind"/> says, and
    /// values that are not finite where the outcome is <see cref="ScoreOutcome.Value"/>.
    /// </returns>
    Scores Score(Rollout rollout, CancellationToken cancel);

    /// <summary>Takes over new weights of the model it scores with; scorers of frozen models ignore it.</summary>
    void LoadWeights(WeightsPublication publication, CancellationToken cancel);
}

/// <summary>
/// Turns a window of scored rollouts into experience: penalties, advantages, whitening over the whole window, and only
/// then the split by rank.
/// </summary>
public interface IExperienceRole : IStatefulRole
{
    /// <summary>Builds the experience of one iteration.</summary>
    /// <param name="window">All scored rollouts of the iteration, ordered by shard.</param>
    /// <param name="ranks">Trainer ranks to split by, 1 or more.</param>
    ExperienceWindow Build(IReadOnlyList<ScoredRollout> window, int ranks);

    /// <summary>Measures a held-out window; changes no state.</summary>
    ExperienceWindow Measure(IReadOnlyList<ScoredRollout> window);
}

/// <summary>What an experience role makes of a window.</summary>
/// <param name="PerRank">Experience for each trainer rank; empty when only measured.</param>
/// <param name="Metrics">Numbers by metric name.</param>
/// <param name="Samples">A few rows to read.</param>
public sealed record ExperienceWindow(
    IReadOnlyList<Experience> PerRank,
    IReadOnlyDictionary<string, double> Metrics,
    IReadOnlyList<SampleRow> Samples);

/// <summary>One answer for people to read.</summary>
/// <param name="Prompt">Prompt text.</param>
/// <param name="Response">Answer text.</param>
/// <param name="Score">Score of the answer, in reward units; null when it had none.</param>
/// <param name="Kl">Log-ratio to the reference summed over the answer, in nats.</param>
/// <param name="Tokens">Length of the answer.</param>
/// <param name="FinishReason">Why it ended.</param>
public sealed record SampleRow(string Prompt, string Response, double? Score, double Kl, int Tokens, FinishReason FinishReason);
