using ColossalChat.Cluster;
using ColossalChat.Contracts;

namespace ColossalChat.Benchmarks;

/// <summary>Roles that answer at once: what is left is what the actors and the wire cost.</summary>
internal static class StubRoles
{
    private const int Tokens = 16;

    /// <summary>Makers of all roles of an online run with one trained model.</summary>
    public static RunRoles All { get; } = new()
    {
        Prompts = () => new Prompts(),
        Rollout = () => new Rollouts(),
        Experience = () => new Experiences(),
        Scorers = Enum.GetValues<ScoreKind>().ToDictionary(kind => kind, kind => (Func<IScoringRole>)(() => new Scorer(kind))),
        Trainers = new Dictionary<TrainerId, Func<long, CancellationToken, ITrainerRole>> { [new TrainerId("policy", 0)] = (_, _) => new Trainer() },
    };

    private static Ragged<T> Filled<T>(Ragged<int> shape, T value)
    {
        var values = new T[shape.Values.Length];
        Array.Fill(values, value);
        return new Ragged<T>(shape.Offsets, values);
    }

    private sealed class Prompts : IPromptSource
    {
        public int HeldOutPrompts => 0;

        public PromptBatch Take(BatchId batch, int firstPrompt, int prompts, int answersPerPrompt)
        {
            var rows = prompts * answersPerPrompt;
            return new PromptBatch(
                batch, Ragged.FromRows(Enumerable.Repeat(new int[Tokens], rows)), [.. Enumerable.Range(firstPrompt, rows).Select(row => (long)row)],
                new int[rows], [.. Enumerable.Repeat("{}", rows)], "stub");
        }

        public void Capture(IStateWriter writer)
        {
            // Nothing to keep.
        }

        public void Restore(IStateReader reader)
        {
            // Nothing was kept.
        }
    }

    private sealed class Rollouts : IRolloutRole
    {
        public Rollout Generate(PromptBatch prompts, CancellationToken cancel)
        {
            var tokens = Filled(prompts.Tokens, 1);
            return new Rollout(prompts, tokens, Filled(tokens, -1f), Filled(tokens, true), Filled(tokens, 1L), [.. Enumerable.Repeat(FinishReason.Stop, tokens.Rows)]);
        }

        public void LoadWeights(WeightsPublication publication, CancellationToken cancel)
        {
            // There are none.
        }

        public void Dispose()
        {
            // Nothing is held.
        }
    }

    private sealed class Scorer(ScoreKind kind) : IScoringRole
    {
        public ScoreKind Kind => kind;

        public Scores Score(Rollout rollout, CancellationToken cancel) =>
            Scores.Of(kind, kind == ScoreKind.Rewards ? Ragged.Scalars<float>(new float[rollout.Rows]) : Filled(rollout.Tokens, 0f));

        public void LoadWeights(WeightsPublication publication, CancellationToken cancel)
        {
            // There are none.
        }

        public void Dispose()
        {
            // Nothing is held.
        }
    }

    private sealed class Experiences : IExperienceRole
    {
        public ExperienceWindow Build(IReadOnlyList<ScoredRollout> window, int ranks)
        {
            var tokens = Ragged.FromRows([new[] { 1, 2 }]);
            return new ExperienceWindow([new Experience(tokens, Filled(tokens, false), new Dictionary<string, Ragged<float>>())], new Dictionary<string, double>(), []);
        }

        public ExperienceWindow Measure(IReadOnlyList<ScoredRollout> window) => new([], new Dictionary<string, double>(), []);

        public void Capture(IStateWriter writer)
        {
            // Nothing to keep.
        }

        public void Restore(IStateReader reader)
        {
            // Nothing was kept.
        }
    }

    private sealed class Trainer : ITrainerRole
    {
        public string Model => "policy";

        public int Begin(TrainRequest request) => 0;

        public bool Compute(int step, CancellationToken cancel) => true;

        public void Finish(int step, bool apply)
        {
            // There are no steps.
        }

        public IReadOnlyDictionary<string, double> End() => new Dictionary<string, double>();

        public IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel) => new Dictionary<string, double>();

        public WeightsPublication Publish(long epoch, long version, CancellationToken cancel) => new("policy", epoch, version, version.ToString(System.Globalization.CultureInfo.InvariantCulture), null);

        public void Export(string folder) => Directory.CreateDirectory(folder);

        public void Capture(IStateWriter writer)
        {
            // Nothing to keep.
        }

        public void Restore(IStateReader reader)
        {
            // Nothing was kept.
        }

        public void Dispose()
        {
            // Nothing is held.
        }
    }
}
