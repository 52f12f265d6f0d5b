using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Rlhf;

/// <summary>Settings of the critic's trainer; section <c>roles.trainers.critic</c>.</summary>
public sealed record PpoCriticOptions : OnlineTrainerOptions
{
    /// <summary>Name of the trained model; it needs a value head. Default critic.</summary>
    public override string Model { get; init; } = "critic";

    /// <summary>Full learning rate. Above 0; default 1e-4.</summary>
    public override double LearningRate { get; init; } = 1e-4;

    /// <summary>What the critic descends.</summary>
    [DefaultPlugin("value-clip")]
    public PluginChoice<IValueLoss> ValueLoss { get; init; } = new("value-clip");
}

/// <summary>Trains the critic towards the returns.</summary>
public sealed class PpoCriticTrainer : ModelTrainer
{
    private readonly OnlineSteps _steps;
    private readonly ValueObjective _objective;

    /// <summary>Borrows the critic, makes its engine and its loss.</summary>
    public PpoCriticTrainer(PpoCriticOptions options, INodeContext context)
        : base(options, context, needsValueHead: true)
    {
        _objective = new ValueObjective(context.Create(options.ValueLoss));
        _steps = new OnlineSteps(Trained, options, context.Seed, StepNames.Critic);
    }

    /// <inheritdoc/>
    public override int Begin(TrainRequest request)
    {
        RequiredColumns.Check(request.Experience, Model, ExperienceColumns.OldValues, ExperienceColumns.Returns);
        return _steps.Begin(request);
    }

    /// <inheritdoc/>
    public override bool Compute(int step, CancellationToken cancel) =>
        _steps.Compute([_steps.Part(step, _objective)], cancel);

    /// <inheritdoc/>
    public override void Finish(int step, bool apply) => _steps.Finish(apply);

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, double> End() => _steps.End();

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel) =>
        new Dictionary<string, double>();

    private sealed class ValueObjective(IValueLoss loss) : IObjective
    {
        public ObjectiveResult Evaluate(Tensor output, MicroBatch batch, WindowTotals totals) => loss.Compute(new ValueLossInput(
            output, batch.Columns[ExperienceColumns.OldValues], batch.Columns[ExperienceColumns.Returns], totals));
    }
}
