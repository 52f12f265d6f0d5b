using System.Collections.Concurrent;
using System.Collections.Immutable;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>
/// Roles that give what the journal has in the place of what they would compute. The flow, the experience role and the trainers
/// do not notice. Safe to use from several threads.
/// </summary>
/// <param name="journal">Where the parts are.</param>
internal sealed class ReplayRoles(RunJournal journal)
{
    private readonly Lock _lock = new();
    private readonly ConcurrentDictionary<(long Iteration, string Model), string> _weights = new();
    private (long Iteration, ImmutableSortedDictionary<int, BatchParts> Parts)? _window;

    /// <summary>Content hash of each model after each iteration, as it was published.</summary>
    public IReadOnlyDictionary<(long Iteration, string Model), string> Weights => _weights;

    /// <summary>Those of a run in the place of those that compute answers and scores.</summary>
    public RunRoles Of(RunRoles roles, StagePlan plan) => roles with
    {
        Prompts = () => new Prompts(this),
        Rollout = () => new Answers(this),
        Scorers = plan.ScoresNeeded.ToDictionary(kind => kind, kind => (Func<IScoringRole>)(() => new Scorer(this, kind))),
    };

    private BatchParts PartsOf(BatchId batch)
    {
        lock (_lock)
        {
            if (_window?.Iteration != batch.Iteration)
                _window = (batch.Iteration, journal.PartsOf(batch.Iteration));
            return _window.Value.Parts.GetValueOrDefault(batch.Shard)
                ?? throw new UserErrorException($"Batch {batch} is not in the journal; replay with the settings that the run had.");
        }
    }

    private sealed class Prompts(ReplayRoles replay) : IPromptSource
    {
        public int HeldOutPrompts => 0;

        public PromptBatch Take(BatchId batch, int firstPrompt, int prompts, int answersPerPrompt)
        {
            var known = replay.PartsOf(batch).Rollout!.Prompts;
            return known.Tokens.Rows == prompts * answersPerPrompt
                ? known
                : throw new UserErrorException($"Batch {batch} has {known.Tokens.Rows} rows in the journal, and {prompts * answersPerPrompt} are asked for; leave stage.prompts-per-iteration, answers-per-prompt and rows-per-batch as they were.");
        }

        public void Capture(IStateWriter writer) => writer.WriteJson("replay", "{}");

        public void Restore(IStateReader reader)
        {
            // What the run's own source knew is not needed: the prompts are in the journal.
        }
    }

    private sealed class Answers(ReplayRoles replay) : IRolloutRole
    {
        public Rollout Generate(PromptBatch prompts, CancellationToken cancel) => replay.PartsOf(prompts.Batch).Rollout!;

        // Versions count updates from 1, the weights before training.
        public void LoadWeights(WeightsPublication publication, CancellationToken cancel) =>
            replay._weights[(publication.Version - 1, publication.Model)] = publication.ContentHash;

        public void Dispose()
        {
            // It holds nothing.
        }
    }

    private sealed class Scorer(ReplayRoles replay, ScoreKind kind) : IScoringRole
    {
        public ScoreKind Kind => kind;

        public Scores Score(Rollout rollout, CancellationToken cancel) => replay.PartsOf(rollout.Batch).Scores[kind];

        public void LoadWeights(WeightsPublication publication, CancellationToken cancel)
        {
            // Scores are read, not computed.
        }

        public void Dispose()
        {
            // It holds nothing.
        }
    }
}
