using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;

namespace ColossalChat.Rlhf;

/// <summary>Settings of the policy's trainer; section <c>roles.trainers.policy</c>.</summary>
public sealed record PpoPolicyOptions : OnlineTrainerOptions
{
    /// <summary>Name of the trained model; default policy.</summary>
    public override string Model { get; init; } = "policy";

    /// <summary>Full learning rate. Above 0; default 1e-5.</summary>
    public override double LearningRate { get; init; } = 1e-5;

    /// <summary>What the policy descends.</summary>
    [DefaultPlugin("ppo-clip")]
    public PluginChoice<IPolicyLoss> PolicyLoss { get; init; } = new("ppo-clip");

    /// <summary>Losses on data of their own, added to every update (PTX).</summary>
    public IReadOnlyList<PluginChoice<IExtraLoss>> ExtraLosses { get; init; } = [];

    /// <summary>Nats of mean entropy are worth this much loss; 0 only measures entropy. 0 or more; default 0.</summary>
    public double EntropyCoefficient { get; init; }

    /// <summary>
    /// Largest importance weight of a token that older weights wrote; 0 leaves such tokens uncorrected. 0 or at least 1;
    /// default 2.
    /// </summary>
    public double ImportanceCap { get; init; } = 2;

    /// <inheritdoc/>
    public override IEnumerable<string> Problems()
    {
        foreach (var problem in base.Problems())
            yield return problem;
        if (EntropyCoefficient is not >= 0)
            yield return $"entropy-coefficient is {EntropyCoefficient}; it must be 0 (off) or more.";
        if (ImportanceCap is not (0 or (>= 1 and < double.PositiveInfinity)))
            yield return $"importance-cap is {ImportanceCap}; it must be 0 (off), or 1 or more.";
    }
}

/// <summary>Trains the policy on an iteration's experience, several passes over it, with extra losses mixed in.</summary>
public sealed class PpoPolicyTrainer : ModelTrainer
{
    private readonly PpoPolicyOptions _options;
    private readonly OnlineSteps _steps;
    private readonly IPolicyLoss _loss;
    private readonly IExtraLoss[] _extras;
    private CorrectedExperience? _corrected;

    /// <summary>Borrows the policy, makes its engine and its losses.</summary>
    public PpoPolicyTrainer(PpoPolicyOptions options, INodeContext context)
        : base(options, context, needsValueHead: false)
    {
        _options = options;
        try
        {
            _loss = context.Create(options.PolicyLoss);
            _extras = [.. options.ExtraLosses.Select(context.Create)];
        }
        catch
        {
            // An extra loss opens files; nobody else would give the model back.
            Trained.Dispose();
            throw;
        }

        _steps = new OnlineSteps(Trained, options, context.Seed, StepNames.Actor);
    }

    /// <inheritdoc/>
    public override int Begin(TrainRequest request)
    {
        RequiredColumns.Check(request.Experience, Model, ExperienceColumns.OldLogProbs, ExperienceColumns.Advantages);
        _corrected = null;
        return _steps.Begin(request);
    }

    /// <inheritdoc/>
    public override bool Compute(int step, CancellationToken cancel)
    {
        if (step == 0)
            Correct(cancel);
        var objective = new PolicyObjective(_loss, TemperatureOf(_steps.Experience), _options.EntropyCoefficient);
        // Extras first: they read files and may fail, and nobody would free a window made before.
        var extras = _extras.Select(extra => extra.Next(Trained.Device)).OfType<ObjectivePart>().ToArray();
        return _steps.Compute([_steps.Part(step, objective), .. extras], cancel);
    }

    // Before the first update, when the policy is still the one that the iteration began with. All ranks do it or none, because
    // they compute together: the column is there on all of them or on none.
    private void Correct(CancellationToken cancel)
    {
        if (_options.ImportanceCap == 0 || !StaleExperience.IsStale(_steps.Experience))
            return;
        var proximal = ProximalLogProbs.Of(Trained, _steps.Experience, TemperatureOf(_steps.Experience), cancel);
        _corrected = StaleExperience.Correct(_steps.Experience, proximal, _options.ImportanceCap);
        _steps.Experience = _corrected.Experience;
    }

    /// <inheritdoc/>
    public override void Finish(int step, bool apply) => _steps.Finish(apply);

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, double> End()
    {
        var numbers = _steps.End();
        foreach (var (name, value) in _corrected?.Metrics ?? new Dictionary<string, double>())
            numbers[name] = value;
        _corrected = null;
        return numbers;
    }

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel) =>
        new Dictionary<string, double>();

    /// <inheritdoc/>
    public override void Capture(IStateWriter writer)
    {
        Trained.Capture(new PrefixedStateWriter(writer, "engine/"));
        for (var i = 0; i < _extras.Length; i++)
            _extras[i].Capture(new PrefixedStateWriter(writer, ExtraPrefix(i)));
    }

    /// <inheritdoc/>
    public override void Restore(IStateReader reader)
    {
        Trained.Restore(new PrefixedStateReader(reader, "engine/"));
        for (var i = 0; i < _extras.Length; i++)
            _extras[i].Restore(new PrefixedStateReader(reader, ExtraPrefix(i)));
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        foreach (var extra in disposing ? _extras : [])
            extra.Dispose();
        base.Dispose(disposing);
    }

    // The whole iteration was drawn at one temperature; log-probabilities at another one could not be compared with it.
    private static double TemperatureOf(Experience experience)
    {
        if (!experience.Columns.TryGetValue(ExperienceColumns.Temperature, out var column) || column.Values.IsEmpty)
            return 1;
        var values = column.Values.Span;
        return values.ContainsAnyExcept(values[0])
            ? throw new ArgumentException("The iteration's rows were drawn at different temperatures.", nameof(experience))
            : values[0];
    }

    private string ExtraPrefix(int index) => $"extra.{index}.{_extras[index].Name}/";
}
