using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;

namespace ColossalChat.Rlhf;

/// <summary>How the learning rate changes over a run; section <c>schedule</c> of a trainer.</summary>
public sealed record ScheduleOptions : ICheckedOptions
{
    /// <summary>How it falls after warming up: constant, linear or cosine; default constant.</summary>
    public ScheduleShape Shape { get; init; } = ScheduleShape.Constant;

    /// <summary>Share of the run's updates until the full rate. 0 to 1; default 0.</summary>
    public double WarmUpShare { get; init; }

    /// <summary>Updates until the full rate; the larger of both warm-ups counts. 0 or more; default 0.</summary>
    public long WarmUpSteps { get; init; }

    /// <summary>Share of the full rate at the run's end. 0 to 1; default 0.1.</summary>
    public double MinRatio { get; init; } = 0.1;

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (WarmUpShare is not (>= 0 and <= 1))
            yield return $"warm-up-share is {WarmUpShare}; it must be from 0 to 1.";
        if (WarmUpSteps < 0)
            yield return $"warm-up-steps is {WarmUpSteps}; it must be 0 or more.";
        if (MinRatio is not (>= 0 and <= 1))
            yield return $"min-ratio is {MinRatio}; it must be from 0 to 1.";
    }

    /// <summary>Factor on the learning rate of the next update.</summary>
    /// <param name="step">Updates applied so far.</param>
    /// <param name="totalSteps">Updates of the whole run.</param>
    public double Factor(long step, long totalSteps)
    {
        var warmUp = Math.Max(WarmUpSteps, (long)Math.Ceiling(WarmUpShare * totalSteps));
        return Schedules.Factor(Shape, step, totalSteps, warmUp, MinRatio);
    }
}

/// <summary>What all trainers can be told.</summary>
public abstract record TrainerOptions : ICheckedOptions
{
    /// <summary>Name of the trained model in the <c>models</c> section.</summary>
    public abstract string Model { get; init; }

    /// <summary>Full learning rate. Above 0.</summary>
    public abstract double LearningRate { get; init; }

    /// <summary>How the learning rate changes over the run.</summary>
    public abstract ScheduleOptions Schedule { get; init; }

    /// <summary>What computes gradients and updates.</summary>
    [DefaultPlugin("engine")]
    public PluginChoice<ITrainingEngineFactory> Engine { get; init; } = new("engine");

    /// <inheritdoc/>
    public virtual IEnumerable<string> Problems()
    {
        if (LearningRate is not > 0)
            yield return $"learning-rate is {LearningRate}; it must be above 0.";
    }
}

/// <summary>What trainers of the online flow can be told besides.</summary>
public abstract record OnlineTrainerOptions : TrainerOptions
{
    /// <inheritdoc/>
    public override ScheduleOptions Schedule { get; init; } = new();

    /// <summary>Passes over each iteration's experience. 1 or more; default 2.</summary>
    public int Epochs { get; init; } = 2;

    /// <summary>Updates of each pass: the experience is cut into so many parts. 1 or more; default 4.</summary>
    public int MiniBatches { get; init; } = 4;

    /// <inheritdoc/>
    public override IEnumerable<string> Problems()
    {
        foreach (var problem in base.Problems())
            yield return problem;
        if (Epochs < 1)
            yield return $"epochs is {Epochs}; it must be 1 or more.";
        if (MiniBatches < 1)
            yield return $"mini-batches is {MiniBatches}; it must be 1 or more.";
    }
}
