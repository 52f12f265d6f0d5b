using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;

namespace ColossalChat.Rlhf;

/// <summary>Settings of the reward model's trainer; section <c>roles.trainers.reward</c>.</summary>
public sealed record RewardTrainerOptions : TrainerOptions
{
    /// <summary>Name of the trained model; it needs a value head. Default reward.</summary>
    public override string Model { get; init; } = "reward";

    /// <summary>Full learning rate. Above 0; default 1e-4.</summary>
    public override double LearningRate { get; init; } = 1e-4;

    /// <summary>Default: cosine after a warm-up of 3 % of the run.</summary>
    public override ScheduleOptions Schedule { get; init; } = new() { Shape = ScheduleShape.Cosine, WarmUpShare = 0.03 };

    /// <summary>What makes the better answer score higher.</summary>
    [DefaultPlugin("log-sigmoid")]
    public PluginChoice<IPreferenceLoss> PreferenceLoss { get; init; } = new("log-sigmoid");
}

/// <summary>Learns to score answers from pairs; the score of a sequence is the value at its last token.</summary>
public sealed class RewardTrainer : ModelTrainer
{
    private readonly OfflineSteps _steps;
    private readonly PairObjective _objective;

    /// <summary>Borrows the model and makes its engine.</summary>
    public RewardTrainer(RewardTrainerOptions options, INodeContext context)
        : base(options, context, needsValueHead: true)
    {
        _objective = new PairObjective(context.Create(options.PreferenceLoss));
        _steps = new OfflineSteps(Trained, HeadPlacement.LastToken);
    }

    /// <inheritdoc/>
    public override int Begin(TrainRequest request)
    {
        if (request.Experience.Rows % 2 != 0)
            throw new ArgumentException($"{request.Experience.Rows} rows do not make pairs.", nameof(request));
        return _steps.Begin(request, request.MostRows > 0);
    }

    /// <inheritdoc/>
    public override bool Compute(int step, CancellationToken cancel) => _steps.Compute(_objective, cancel);

    /// <inheritdoc/>
    public override void Finish(int step, bool apply) => _steps.Finish(apply);

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, double> End() => PairObjective.Conclude(_steps.End(), "train/", false);

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel) =>
        PairObjective.Conclude(_steps.Evaluate(_objective, heldOut, cancel), "eval/", true);
}
