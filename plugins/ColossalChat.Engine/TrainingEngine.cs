using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using static TorchSharp.torch;

namespace ColossalChat.Engine;

// N = head positions, H = hidden size.

/// <summary>
/// Trains a block-structured model: embed, blocks, head at the head positions, objective, backward, AdamW. Gradients of a
/// window's micro-batches add up in float32 and are divided by nothing here: objectives divide by the window's totals.
/// </summary>
public sealed class TrainingEngine : ITrainingEngine
{
    private readonly TrainingTarget _target;
    private readonly EngineOptions _options;
    private readonly ICollective _collective;
    private readonly AdamW _optimizer;
    private readonly ParameterGroup[] _groups;
    private double? _pendingScale;

    /// <summary>Takes over the target's parameters: they become views into flat chunks.</summary>
    /// <param name="target">What is trained; the engine does not dispose it.</param>
    /// <param name="options">Settings.</param>
    /// <param name="sharding">How parameters are shared out.</param>
    /// <param name="collective">The ranks; disposed with the engine.</param>
    public TrainingEngine(TrainingTarget target, EngineOptions options, IShardingStrategy sharding, ICollective collective)
    {
        (_target, _options, _collective) = (target, options, collective);
        _optimizer = new AdamW(options.Optimizer);
        foreach (var slot in TrainableGroups.Base(target))
            slot.Value.requires_grad = false;
        _groups = TrainableGroups.Of(target)
            .Select(group => new ParameterGroup(group.Name, group.Slots, sharding, collective))
            .ToArray();
        Trainable = _groups.SelectMany(group => group.Slots).ToArray();
    }

    /// <inheritdoc/>
    public long Steps { get; private set; }

    /// <inheritdoc/>
    public int MicroBatchTokens => _options.MicroBatchTokens;

    /// <inheritdoc/>
    public IReadOnlyList<ParameterSlot> Trainable { get; }

    /// <inheritdoc/>
    public GradientReport ComputeGradients(IReadOnlyList<ObjectivePart> parts, CancellationToken cancel)
    {
        // A part of coefficient 0 is only measured: it must leave no trace, not even in the order of additions.
        var measured = new MetricSums();
        foreach (var part in parts.Where(part => part.Coefficient == 0))
            Measure(part, part.Name + "/", measured, cancel);

        using var scope = NewDisposeScope();
        using var withGradients = enable_grad();
        using var training = new TrainingMode(_target.Adapter);
        _pendingScale = null;
        foreach (var group in _groups)
        {
            group.Gather();
            group.ZeroGradients();
        }

        var sums = new MetricSums();
        var norms = new Dictionary<string, double>();
        foreach (var part in parts.Where(part => part.Coefficient != 0))
        {
            // Each part starts from 0, so that its norm is known alone; then the parts are added.
            var before = norms.Count == 0 ? null : _groups.Select(group => group.TakeGradients()).ToArray();
            Accumulate(part, sums, cancel);
            norms[part.Name] = Norm();
            for (var i = 0; i < (before?.Length ?? 0); i++)
                _groups[i].AddGradients(before![i]);
        }

        var norm = norms.Count == 1 ? norms.Values.First() : Norm();
        var isFinite = double.IsFinite(norm) && sums.Values.All(metric => !IsLoss(metric.Key) || double.IsFinite(metric.Value));
        var isClipped = _options.MaxGradNorm > 0 && norm > _options.MaxGradNorm;
        if (isFinite)
            _pendingScale = isClipped ? _options.MaxGradNorm / norm : 1;
        var metrics = sums.Values.Concat(measured.Values).DistinctBy(metric => metric.Key).ToDictionary();
        return new GradientReport(isFinite, norm, norms, metrics, isClipped);
    }

    /// <inheritdoc/>
    public void Apply(double learningRate)
    {
        if (_pendingScale is not { } scale)
            throw new InvalidOperationException("There are no finite gradients to apply: compute them first, or skip.");
        _pendingScale = null;
        Steps++;
        foreach (var group in _groups)
            group.Update(_optimizer, new AdamStep(learningRate, scale, Steps));
    }

    /// <inheritdoc/>
    public void Skip() => _pendingScale = null;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, double> Evaluate(ObjectivePart part, CancellationToken cancel) =>
        Measure(part, "", new MetricSums(), cancel).Values;

    /// <inheritdoc/>
    public void Capture(IStateWriter writer)
    {
        writer.WriteJson("engine", JsonSerializer.Serialize(new Dictionary<string, long> { ["steps"] = Steps }));
        foreach (var group in _groups)
            group.Capture(writer);
    }

    /// <inheritdoc/>
    public void Restore(IStateReader reader)
    {
        using var document = JsonDocument.Parse(reader.ReadJson("engine"));
        foreach (var group in _groups)
            group.Restore(reader);
        Steps = document.RootElement.GetProperty("steps").GetInt64();
        _pendingScale = null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var group in _groups)
            group.Dispose();
        _collective.Dispose();
    }

    private static bool IsLoss(string metric) => metric.EndsWith("/loss", StringComparison.Ordinal);

    private void Accumulate(ObjectivePart part, MetricSums sums, CancellationToken cancel)
    {
        var totals = MicroBatches.Totals(part.Window);
        foreach (var batch in part.Window)
        {
            cancel.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var result = part.Objective.Evaluate(Forward(batch), batch, totals);
            sums.Add(part.Name + "/", TensorData.ToDouble(result.Loss), result);
            var loss = part.Coefficient == 1 ? result.Loss : result.Loss * part.Coefficient;
            if (!loss.requires_grad)
                continue;
            loss.backward();
            foreach (var group in _groups)
                group.CollectBackward();
        }
    }

    private MetricSums Measure(ObjectivePart part, string prefix, MetricSums sums, CancellationToken cancel)
    {
        using var noGrad = no_grad();
        var totals = MicroBatches.Totals(part.Window);
        foreach (var batch in part.Window)
        {
            cancel.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var result = part.Objective.Evaluate(Forward(batch), batch, totals);
            sums.Add(prefix, TensorData.ToDouble(result.Loss), result);
        }

        return sums;
    }

    private Tensor Forward(MicroBatch batch) =>
        _target.Head.Forward(SequenceScoring.HiddenAtHead(_target.Body, batch));

    private double Norm() => Math.Sqrt(_groups.Sum(group => group.SquaredNorm()));

    // Dropout acts during training passes only.
    private sealed class TrainingMode : IDisposable
    {
        private readonly IAttachedAdapter? _adapter;

        public TrainingMode(IAttachedAdapter? adapter)
        {
            _adapter = adapter;
            if (_adapter is not null)
                _adapter.Training = true;
        }

        public void Dispose()
        {
            if (_adapter is not null)
                _adapter.Training = false;
        }
    }
}
