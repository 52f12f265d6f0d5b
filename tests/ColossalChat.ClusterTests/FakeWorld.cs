using System.Collections.Concurrent;
using System.Globalization;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text.Json;
using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>
/// A process with deterministic fake roles: one shared model per name, as a model store has it, changed in place by its
/// trainer and read by rollouts and scorers. Every role call is recorded and passes a hook that may throw or block.
/// </summary>
internal sealed class FakeWorld
{
    public ConcurrentDictionary<string, float[]> Models { get; } = new();

    public ConcurrentQueue<(string Role, string What, string Thread)> Calls { get; } = new();

    /// <summary>Made and not yet disposed, by role.</summary>
    public ConcurrentDictionary<string, int> Alive { get; } = new();

    public ConcurrentDictionary<string, int> Made { get; } = new();

    /// <summary>Runs before each role call with role and call, such as <c>rollout</c>, <c>generate 1.0</c>.</summary>
    public Action<string, string, CancellationToken> Before { get; set; } = (_, _, _) => { };

    /// <summary>Runs when a role is disposed, on the thread that does it.</summary>
    public Action<string> Disposing { get; set; } = _ => { };

    /// <summary>What a rollout role gives in the place of a right answer.</summary>
    public Func<Rollout, Rollout> AnswerWith { get; set; } = rollout => rollout;

    /// <summary>What a scorer gives in the place of right scores.</summary>
    public Func<Scores, Scores> ScoreWith { get; set; } = scores => scores;

    public Func<string, int> StepsOf { get; set; } = _ => 2;

    public Func<string, long, int, bool> IsFinite { get; set; } = (_, _, _) => true;

    public int HeldOut { get; set; } = 3;

    public long OfflineIterations { get; set; } = 6;

    public ConcurrentQueue<IReadOnlyList<ScoredRollout>> Windows { get; } = new();

    public IEnumerable<string> CallsOf(string role) => Calls.Where(call => call.Role == role).Select(call => call.What);

    public void Enter(string role, string what, CancellationToken cancel = default)
    {
        Calls.Enqueue((role, what, Thread.CurrentThread.Name ?? "unnamed"));
        Before(role, what, cancel);
    }

    public T Count<T>(string role, T instance)
    {
        Made.AddOrUpdate(role, 1, (_, count) => count + 1);
        Alive.AddOrUpdate(role, 1, (_, count) => count + 1);
        Enter(role, "make");
        return instance;
    }

    public void Gone(string role)
    {
        Alive.AddOrUpdate(role, 0, (_, count) => count - 1);
        Disposing(role);
    }

    public float[] Model(string name) => Models.GetOrAdd(name, _ => [1f, 2f, 3f]);

    public string Digest() => string.Join(";", Models.OrderBy(model => model.Key, StringComparer.Ordinal).Select(model =>
        model.Key + "=" + string.Join(",", model.Value.Select(value => BitConverter.SingleToInt32Bits(value).ToString("x8", CultureInfo.InvariantCulture)))));

    public RunRoles OnlineRoles(params string[] models) => new()
    {
        Prompts = () => Count("prompts", new FakePrompts(this)),
        Rollout = () => Count("rollout", new FakeRollout(this)),
        Scorers = Enum.GetValues<ScoreKind>().ToDictionary(
            kind => kind, kind => (Func<IScoringRole>)(() => Count(RoleSlots.Of(kind), new FakeScorer(this, kind)))),
        Experience = () => Count("experience", new FakeExperience(this)),
        Trainers = Trainers(models),
    };

    public RunRoles OfflineRoles(params string[] models) => new()
    {
        Batches = () => Count("batches", new FakeBatches(this)),
        Trainers = Trainers(models),
    };

    private Dictionary<TrainerId, Func<long, CancellationToken, ITrainerRole>> Trainers(string[] models) => models.ToDictionary(
        model => new TrainerId(model, 0), model => (Func<long, CancellationToken, ITrainerRole>)((_, _) => Count($"trainers.{model}", new FakeTrainer(this, model))));
}

internal sealed class FakePrompts(FakeWorld world) : IPromptSource
{
    public int HeldOutPrompts => world.HeldOut;

    public void Begin(StagePlan plan) => world.Enter("prompts", $"begin {plan.PromptsPerIteration}");

    public PromptBatch Take(BatchId batch, int firstPrompt, int prompts, int answersPerPrompt)
    {
        world.Enter("prompts", $"take {batch}");
        var rows = prompts * answersPerPrompt;
        var ids = Enumerable.Range(0, rows).Select(row => (long)(firstPrompt + (row / answersPerPrompt))).ToArray();
        return new PromptBatch(
            batch,
            Ragged.FromRows(ids.Select(id => new[] { 1, (int)id, (int)batch.Iteration })),
            ids,
            [.. Enumerable.Range(0, rows).Select(row => row % answersPerPrompt)],
            [.. ids.Select(_ => "{}")],
            "fake");
    }

    public void Capture(IStateWriter writer) => writer.WriteJson("cursor", "{}");

    public void Restore(IStateReader reader) => reader.ReadJson("cursor");
}

internal sealed class FakeRollout(FakeWorld world) : IRolloutRole
{
    private long _version;

    public Rollout Generate(PromptBatch prompts, CancellationToken cancel)
    {
        world.Enter("rollout", $"generate {prompts.Batch}", cancel);
        if (_version == 0)
            throw new InvalidOperationException("No weights were loaded.");
        var weights = world.Model("policy");
        var rows = Enumerable.Range(0, prompts.Tokens.Rows).Select(row =>
            Enumerable.Range(0, 2 + (row % 3)).Select(token =>
                Math.Abs((int)(weights[token % 3] * 1000) + prompts.Tokens[row].Span[1] + token) % 97).ToArray()).ToArray();
        return world.AnswerWith(new Rollout(
            prompts,
            Ragged.FromRows(rows),
            Ragged.FromRows(rows.Select(row => row.Select(token => -token / 100f).ToArray())),
            Ragged.FromRows(rows.Select(row => row.Select(_ => true).ToArray())),
            Ragged.FromRows(rows.Select(row => row.Select(_ => _version).ToArray())),
            [.. rows.Select(_ => FinishReason.Stop)]));
    }

    public void LoadWeights(WeightsPublication publication, CancellationToken cancel)
    {
        world.Enter("rollout", $"load {publication.Model} {publication.Version}", cancel);
        _version = publication.Version;
    }

    public void Dispose() => world.Gone("rollout");
}

internal sealed class FakeScorer(FakeWorld world, ScoreKind kind) : IScoringRole
{
    public ScoreKind Kind => kind;

    /// <summary>Scores stand beside the very answers that they are of.</summary>
    public static void AssertOwn(ScoredRollout part)
    {
        for (var row = 0; row < part.Rollout.Rows; row++)
        {
            var (tokens, mark) = (part.Rollout.Tokens[row].ToArray(), Mark(part.Rollout, row));
            Assert.Equal(mark, part.Scores[ScoreKind.Rewards].Values[row].Span[0]);
            // What is left of a value is the critic's weight, the same for all of a batch.
            foreach (var kind in (ScoreKind[])[ScoreKind.ReferenceLogProbs, ScoreKind.Values])
                Assert.All(tokens.Index(), token => Assert.Equal(
                    BiasOf(part, kind), part.Scores[kind].Values[row].Span[token.Index] + mark + (token.Item / 97f), tolerance: 1e-4f));
        }
    }

    private static float BiasOf(ScoredRollout part, ScoreKind kind) =>
        part.Scores[kind].Values[0].Span[0] + Mark(part.Rollout, 0) + (part.Rollout.Tokens[0].Span[0] / 97f);

    /// <summary>Of a whole answer: another one, or the same by weights of another version, has another.</summary>
    public static float Mark(Rollout rollout, int row)
    {
        var hash = new XxHash3();
        hash.Append(MemoryMarshal.AsBytes(rollout.Tokens[row].Span));
        hash.Append(MemoryMarshal.AsBytes(rollout.LogProbs[row].Span));
        hash.Append(MemoryMarshal.AsBytes(rollout.WeightVersions[row].Span));
        return (hash.GetCurrentHashAsUInt64() & 0xFFFFFF) / (float)0x1000000;
    }

    public Scores Score(Rollout rollout, CancellationToken cancel)
    {
        world.Enter(RoleSlots.Of(kind), $"score {rollout.Batch}", cancel);
        var bias = kind == ScoreKind.Values && world.Models.ContainsKey("critic") ? world.Model("critic")[0] : 0.5f;
        return world.ScoreWith(kind == ScoreKind.Rewards
            ? new Scores(
                kind,
                Ragged.Scalars<float>(Enumerable.Range(0, rollout.Rows).Select(row => Mark(rollout, row)).ToArray()),
                [.. Enumerable.Range(0, rollout.Rows).Select(row => (ScoreOutcome)(row % 3))],
                [.. Enumerable.Range(0, rollout.Rows).Select(row => row % 3 == 2 ? "odd row" : "")])
            : Scores.Of(kind, Ragged.FromRows(Enumerable.Range(0, rollout.Rows).Select(row =>
                rollout.Tokens[row].ToArray().Select(token => bias - Mark(rollout, row) - (token / 97f)).ToArray()))));
    }

    public void LoadWeights(WeightsPublication publication, CancellationToken cancel) =>
        world.Enter(RoleSlots.Of(kind), $"load {publication.Model} {publication.Version}", cancel);

    public void Dispose() => world.Gone(RoleSlots.Of(kind));
}

internal sealed class FakeExperience(FakeWorld world) : IExperienceRole, IDisposable
{
    private float _coefficient = 0.1f;

    public ExperienceWindow Build(IReadOnlyList<ScoredRollout> window, int ranks)
    {
        world.Enter("experience", $"build {window[0].Rollout.Batch}");
        world.Windows.Enqueue(window);
        var mean = Mean(window);
        _coefficient *= 1 + (mean / 10);
        var tokens = Ragged.Concatenate([.. window.Select(part => part.Rollout.Sequences())]);
        var experience = new Experience(
            tokens,
            Ragged.FromRows(Enumerable.Range(0, tokens.Rows).Select(row => tokens[row].ToArray().Select((_, i) => i > 2).ToArray())),
            new Dictionary<string, Ragged<float>>
            {
                [ExperienceColumns.Advantages] = Ragged.FromRows(Enumerable.Range(0, tokens.Rows)
                    .Select(row => tokens[row].ToArray().Select(token => (token * _coefficient) + mean).ToArray())),
            });
        return new ExperienceWindow(
            [.. Enumerable.Repeat(experience, ranks)],
            new Dictionary<string, double> { ["reward/mean"] = mean, ["kl/coefficient"] = _coefficient },
            [new SampleRow("prompt", "answer", mean, 0, 1, FinishReason.Stop)]);
    }

    public ExperienceWindow Measure(IReadOnlyList<ScoredRollout> window)
    {
        world.Enter("experience", $"measure {window[0].Rollout.Batch}");
        return new ExperienceWindow([], new Dictionary<string, double> { ["eval/reward"] = Mean(window) }, []);
    }

    public void Capture(IStateWriter writer)
    {
        world.Enter("experience", "capture");
        writer.WriteJson("coefficient", JsonSerializer.Serialize(_coefficient));
    }

    public void Restore(IStateReader reader) => _coefficient = JsonSerializer.Deserialize<float>(reader.ReadJson("coefficient"));

    public void Dispose() => world.Gone("experience");

    private static float Mean(IReadOnlyList<ScoredRollout> window) =>
        window.SelectMany(part => part.Scores.Values.SelectMany(ValuesOf)).Sum() / 100;

    private static IEnumerable<float> ValuesOf(Scores scores) => Enumerable.Range(0, scores.Values.Rows)
        .Where(row => scores.Outcomes[row] == ScoreOutcome.Value)
        .SelectMany(row => scores.Values[row].ToArray());
}

internal sealed class FakeBatches(FakeWorld world) : IBatchSource
{
    public long Iterations => world.OfflineIterations;

    public IReadOnlyList<Experience> HeldOut => world.HeldOut == 0 ? [] : [Of(0)];

    public IReadOnlyDictionary<string, double> Metrics => new Dictionary<string, double> { ["data/rows"] = 42 };

    public IReadOnlyList<string> Remarks => ["2 rows were dropped."];

    public IReadOnlyList<Experience> Take(long iteration, int ranks)
    {
        world.Enter("batches", $"take {iteration}");
        return [.. Enumerable.Range(0, ranks).Select(_ => Of(iteration))];
    }

    public void Capture(IStateWriter writer) => writer.WriteJson("cursor", "{}");

    public void Restore(IStateReader reader) => reader.ReadJson("cursor");

    private static Experience Of(long iteration)
    {
        var tokens = Ragged.FromRows([new[] { 1, (int)iteration, 5 }, [1, 7]]);
        return new Experience(
            tokens,
            Ragged.FromRows([new[] { false, true, true }, [false, true]]),
            new Dictionary<string, Ragged<float>>
            {
                [ExperienceColumns.Advantages] = Ragged.FromRows([new[] { 0f, iteration / 7f, 1 }, [0, 3]]),
            });
    }
}

internal sealed class FakeTrainer(FakeWorld world, string model) : ITrainerRole
{
    private readonly float[] _weights = world.Model(model);
    private float[] _momentum = [0, 0, 0];
    private float[] _gradient = [0, 0, 0];
    private TrainRequest? _request;

    public string Model => model;

    private string Role => $"trainers.{model}";

    public int Begin(TrainRequest request)
    {
        world.Enter(Role, $"begin {request.Iteration}/{request.Iterations}");
        _request = request;
        return world.StepsOf(model);
    }

    public bool Compute(int step, CancellationToken cancel)
    {
        world.Enter(Role, $"compute {step}", cancel);
        var sum = _request!.Experience.Columns[ExperienceColumns.Advantages].Values.ToArray().Sum();
        _gradient = [.. _weights.Select((weight, i) => MathF.Sin((weight * (i + 1)) + sum + step))];
        return world.IsFinite(model, _request.Iteration, step);
    }

    public void Finish(int step, bool apply)
    {
        // Half of the weights change before the hook: a failure here leaves a model that must not be trained on.
        if (apply)
            Update(0);
        world.Enter(Role, $"finish {step} {(apply ? "apply" : "skip")}");
        if (apply)
            for (var i = 1; i < _weights.Length; i++)
                Update(i);
    }

    public IReadOnlyDictionary<string, double> End()
    {
        world.Enter(Role, "end");
        return new Dictionary<string, double> { [$"{model}/weight"] = _weights[0] };
    }

    public IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel)
    {
        world.Enter(Role, $"evaluate {heldOut.Count}", cancel);
        return new Dictionary<string, double> { [$"eval/{model}"] = _weights[1] };
    }

    public WeightsPublication Publish(long epoch, long version, CancellationToken cancel)
    {
        world.Enter(Role, $"publish {version}", cancel);
        return new WeightsPublication(model, epoch, version, Convert.ToHexString(MemoryMarshal.AsBytes<float>(_weights)), null);
    }

    public void Export(string folder)
    {
        world.Enter(Role, "export");
        Directory.CreateDirectory(folder);
    }

    public void Capture(IStateWriter writer)
    {
        world.Enter(Role, "capture");
        writer.WriteTensor("weights", ElementType.Float32, [3], MemoryMarshal.AsBytes<float>(_weights));
        writer.WriteTensor("momentum", ElementType.Float32, [3], MemoryMarshal.AsBytes<float>(_momentum));
    }

    public void Restore(IStateReader reader)
    {
        world.Enter(Role, "restore");
        reader.ReadTensor("weights", MemoryMarshal.AsBytes(_weights.AsSpan()));
        _momentum = new float[3];
        reader.ReadTensor("momentum", MemoryMarshal.AsBytes(_momentum.AsSpan()));
    }

    public void Dispose() => world.Gone(Role);

    private void Update(int i)
    {
        _momentum[i] = (0.9f * _momentum[i]) + _gradient[i];
        _weights[i] -= 0.01f * _momentum[i];
    }
}
