using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;

namespace ColossalChat.Rlhf;

/// <summary>The offline flow's iteration: one window, one update.</summary>
/// <param name="model">What is trained; the owner disposes it.</param>
/// <param name="placement">What the head reads.</param>
internal sealed class OfflineSteps(TrainedModel model, HeadPlacement placement)
{
    private TrainRequest? _request;
    private GradientReport? _report;
    private StepMetrics _metrics = new(StepNames.Offline);

    private bool KeepsPairs => placement == HeadPlacement.LastToken;

    public int Begin(TrainRequest request, bool isWorthwhile)
    {
        (_request, _report, _metrics) = (request, null, new StepMetrics(StepNames.Offline));
        return isWorthwhile ? 1 : 0;
    }

    public bool Compute(IObjective objective, CancellationToken cancel)
    {
        var request = _request ?? throw new InvalidOperationException("Begin comes before Compute.");
        var window = model.Cut(request.Experience, placement, KeepsPairs);
        _report = model.Compute([new ObjectivePart(StepNames.Offline.Part, window, objective)], cancel);
        return _report.IsFinite;
    }

    public void Finish(bool apply)
    {
        var rate = model.Rate(_request!.Iterations);
        model.Finish(apply, rate);
        _metrics.Add(_report!, rate, apply);
    }

    public Dictionary<string, double> End()
    {
        var experience = _request!.Experience;
        var metrics = _metrics.Take(model.Steps, model.TakeTeraflops());
        metrics["data/target_tokens"] = _request.GroupTargetTokens;
        metrics["data/seq_len"] = experience.Rows == 0 ? 0 : (double)experience.Tokens.Values.Length / experience.Rows;
        _request = null;
        return metrics;
    }

    public Dictionary<string, double> Evaluate(IObjective objective, IReadOnlyList<Experience> heldOut, CancellationToken cancel)
    {
        var window = heldOut.SelectMany(batch => model.Cut(batch, placement, KeepsPairs)).ToArray();
        return window.Length == 0 && model.IsAlone
            ? []
            : model.Evaluate(new ObjectivePart("eval", window, objective), cancel)
                .ToDictionary(metric => $"eval/{metric.Key}", metric => metric.Value);
    }
}
