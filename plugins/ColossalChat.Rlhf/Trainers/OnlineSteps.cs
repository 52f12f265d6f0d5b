using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;

namespace ColossalChat.Rlhf;

/// <summary>The online flow's iteration: several passes over its experience, several updates each.</summary>
/// <param name="model">What is trained; the owner disposes it.</param>
/// <param name="options">Passes and parts.</param>
/// <param name="seed">The run's seed.</param>
/// <param name="names">What the numbers are called.</param>
internal sealed class OnlineSteps(TrainedModel model, OnlineTrainerOptions options, ulong seed, StepNames names)
{
    private TrainRequest? _request;
    private StepPlan? _plan;
    private long _totalSteps;
    private GradientReport? _report;
    private StepMetrics _metrics = new(names);

    /// <summary>What the iteration learns from; its rows stay where they are.</summary>
    public Experience Experience
    {
        get => _request?.Experience ?? throw new InvalidOperationException("Begin comes first.");
        set => _request = _request! with { Experience = value };
    }

    public int Begin(TrainRequest request)
    {
        (_request, _report, _metrics) = (request, null, new StepMetrics(names));
        _plan = new StepPlan(seed, request.Iteration, request.Experience.Rows, Math.Min(options.MiniBatches, request.MostRows), options.Epochs);
        // Fewer rows than mini-batches make fewer updates, and a skipped one is none: the run's length is what was done so
        // far and as much for each iteration to come as for this one, so that a falling rate reaches its end.
        _totalSteps = model.Steps + ((request.Iterations - request.Iteration + 1) * _plan.Steps);
        return _plan.Steps;
    }

    /// <summary>The main objective over the micro-batches of one update; <see cref="Compute"/> disposes them.</summary>
    public ObjectivePart Part(int step, IObjective objective) =>
        new(names.Part, model.Cut(Experience.Pick(_plan!.Rows(step, Experience)), HeadPlacement.PredictTargets), objective);

    public bool Compute(IReadOnlyList<ObjectivePart> parts, CancellationToken cancel)
    {
        _report = model.Compute(parts, cancel);
        return _report.IsFinite;
    }

    public void Finish(bool apply)
    {
        var rate = model.Rate(_totalSteps);
        model.Finish(apply, rate);
        _metrics.Add(_report!, rate, apply);
    }

    public Dictionary<string, double> End()
    {
        (_request, _plan) = (null, null);
        return _metrics.Take(model.Steps, model.TakeTeraflops());
    }
}
