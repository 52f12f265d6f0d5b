using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using ColossalChat.Numerics.Kernels;
using static TorchSharp.torch;

namespace ColossalChat.Engine;

/// <summary>
/// Trains a block-structured model, alone or as one rank of several. Gradients of a window's micro-batches, and of all
/// ranks, add up and are divided by nothing here: objectives divide by the window's totals.
/// </summary>
public sealed class TrainingEngine : ITrainingEngine
{
    private readonly TrainingTarget _target;
    private readonly EngineOptions _options;
    private readonly ICollective _collective;
    private readonly CommunicationLane _lane;
    private readonly RankExchange _exchange;
    private readonly IShardingStrategy _sharding;
    private readonly ChunkedParts _parts;
    private readonly BlockwisePass _pass;
    private readonly AdamW _optimizer;
    private readonly LossScale _lossScale;
    private (double Scale, bool IsFinite)? _pending;

    /// <summary>Takes over the target's parameters: they become views into flat chunks.</summary>
    /// <param name="target">What is trained; the engine does not dispose it.</param>
    /// <param name="options">Settings.</param>
    /// <param name="sharding">How parameters are shared out.</param>
    /// <param name="collective">The ranks; disposed with the engine.</param>
    /// <param name="scratchFolder">Where states on disk go.</param>
    public TrainingEngine(TrainingTarget target, EngineOptions options, IShardingStrategy sharding, ICollective collective, string scratchFolder)
    {
        (_target, _options, _sharding, _collective) = (target, options, sharding, collective);
        _lane = new CommunicationLane($"rank {collective.Rank} communication", collective.Ranks);
        _exchange = new RankExchange(collective, _lane, target.Body.Device.type == TorchSharp.DeviceType.CUDA ? target.Body.Device : CPU);
        _optimizer = new AdamW(options.Optimizer);
        foreach (var slot in TrainableParts.Base(target).SelectMany(part => part.Slots))
            slot.Value.requires_grad = false;
        var trainable = TrainableParts.Of(target);
        Trainable = [.. trainable.SelectMany(part => part.Slots)];
        _lossScale = new LossScale(Trainable.Any(slot => slot.Value.dtype == float16));
        _parts = new ChunkedParts(target, Shard(trainable, scratchFolder));
        _pass = new BlockwisePass(target, _parts, options.ActivationCheckpointing);
    }

    /// <inheritdoc/>
    public long Steps { get; private set; }

    /// <inheritdoc/>
    public int MicroBatchTokens => _options.MicroBatchTokens;

    /// <inheritdoc/>
    public IReadOnlyList<ParameterSlot> Trainable { get; }

    /// <inheritdoc/>
    public EngineUsage Usage => new(
        _parts.Chunks.Aggregate(default(ShardMemory), (sum, chunk) => sum + chunk.Memory), _lane.Busy, _lane.Exposed);

    /// <inheritdoc/>
    public GradientReport ComputeGradients(IReadOnlyList<ObjectivePart> parts, CancellationToken cancel) => Guarded(() =>
    {
        using var scope = NewDisposeScope();
        using var training = new TrainingMode(_target.Adapter);
        _pending = null;

        // A part of coefficient 0 is only measured: it must leave no trace, not even in the order of additions.
        var metrics = new Dictionary<string, double>();
        foreach (var part in parts.Where(part => part.Coefficient == 0))
            Measure(part, part.Name + "/", cancel).AddTo(metrics);

        var norms = new Dictionary<string, double>();
        var isFinite = true;
        foreach (var part in parts.Where(part => part.Coefficient != 0))
        {
            // Each part starts from 0, so that its norm is known alone; then the parts are added.
            var before = norms.Count == 0 ? null : _parts.Chunks.Select(chunk => chunk.Shard.Gradients.clone()).ToArray();
            var (sums, norm) = Accumulate(part, cancel);
            sums.AddTo(metrics);
            norms[part.Name] = norm;
            isFinite &= double.IsFinite(norm) && double.IsFinite(sums.Values[part.Name + "/loss"]);
            for (var i = 0; i < (before?.Length ?? 0); i++)
                _parts.Chunks[i].Shard.Gradients.add_(before![i]);
        }

        return Report(norms, metrics, isFinite);
    });

    /// <inheritdoc/>
    public void Apply(double learningRate) => Guarded(() =>
    {
        if (_pending is not (var scale, true))
            throw new InvalidOperationException("There are no finite gradients to apply: compute them first, or skip.");
        _pending = null;
        Steps++;
        _lossScale.Succeed();
        var step = new AdamStep(learningRate, scale, Steps);
        foreach (var chunk in _parts.Chunks)
        {
            var shard = chunk.Shard;
            foreach (var (start, length, decays) in ChunkPieces.Runs(chunk))
                _optimizer.Update(shard, start, length, decays, step);
            chunk.Publish();
        }

        // Others may read the weights from here on.
        foreach (var chunk in _parts.Chunks)
            _ = chunk.Shard;
        return true;
    });

    /// <inheritdoc/>
    public void Skip()
    {
        if (_pending is (_, false))
            _lossScale.Overflow();
        _pending = null;
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, double> Evaluate(ObjectivePart part, CancellationToken cancel) =>
        Guarded(() => Measure(part, "", cancel).Values);

    /// <inheritdoc/>
    public IDisposable ReadWeights(IReadOnlyList<ParameterSlot> slots)
    {
        var wanted = slots.ToHashSet(ReferenceEqualityComparer.Instance);
        var chunks = _parts.Chunks.Where(chunk => chunk.Slots.Any(wanted.Contains)).ToArray();
        foreach (var chunk in chunks)
            chunk.Gather();
        return new Reading(chunks);
    }

    /// <inheritdoc/>
    public void Capture(IStateWriter writer)
    {
        writer.WriteJson("engine", JsonSerializer.Serialize(new SavedEngine(Steps, _lossScale.Factor, _lossScale.Steps, _collective.Ranks, _sharding.Name)));
        if (_sharding.ShardsStates || _collective.Rank == 0)
            EngineState.Capture(_parts.Chunks, writer);
    }

    /// <inheritdoc/>
    public void Restore(IStateReader reader)
    {
        var saved = JsonSerializer.Deserialize<SavedEngine>(reader.ReadJson("engine"))!;
        EngineState.Restore(_parts.Chunks, reader);
        foreach (var chunk in _parts.Chunks)
            _ = chunk.Shard;
        Steps = saved.Steps;
        _lossScale.Restore(saved.LossScale, saved.LossScaleSteps);
        _pending = null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            foreach (var chunk in _parts.Chunks)
                chunk.Dispose();
        }
        finally
        {
            _lane.Dispose();
            _collective.Dispose();
        }
    }

    private IReadOnlyList<IShardedChunk> Shard(IReadOnlyList<PartParameters> trainable, string scratchFolder)
    {
        try
        {
            return _sharding.Shard(trainable, new ShardingSetup(_collective, _lane, scratchFolder));
        }
        catch
        {
            _lane.Dispose();
            throw;
        }
    }

    private (WindowSums Sums, double Norm) Accumulate(ObjectivePart part, CancellationToken cancel)
    {
        foreach (var chunk in _parts.Chunks)
            chunk.ZeroGradients();
        var plan = WindowShare.Agree(_exchange, part.Window);
        var own = new WindowSums();
        // Nothing to learn from on any rank: gradients are zeros, not those of the last window.
        if (plan.Batches == 0)
            _pass.Walk(isLast: true);
        for (var i = 0; i < plan.Batches; i++)
        {
            cancel.ThrowIfCancellationRequested();
            var isLast = i == plan.Batches - 1;
            if (i >= part.Window.Count)
            {
                _pass.Walk(isLast);
                continue;
            }

            _pass.Train(part.Window[i], output =>
            {
                var result = part.Objective.Evaluate(output, part.Window[i], plan.Totals);
                own.Add(part.Name + "/", TensorData.ToDouble(result.Loss), result);
                var factor = part.Coefficient * _lossScale.Factor;
                return factor == 1 ? result.Loss : result.Loss * factor;
            }, isLast);
        }

        own.SquaredNorm = _parts.Chunks.Sum(chunk => SquaredNorm(chunk.Shard.Gradients));
        var sums = WindowSums.Join(_exchange.All(own), part.Name + "/");
        var squares = _sharding.ShardsStates ? sums.SquaredNorm : own.SquaredNorm;
        return (sums, Math.Sqrt(squares) / _lossScale.Factor);
    }

    private WindowSums Measure(ObjectivePart part, string prefix, CancellationToken cancel)
    {
        using var noGrad = no_grad();
        var plan = WindowShare.Agree(_exchange, part.Window);
        var own = new WindowSums();
        for (var i = 0; i < plan.Batches; i++)
        {
            cancel.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var batch = i < part.Window.Count ? part.Window[i] : null;
            var output = _pass.Evaluate(batch);
            if (batch is null)
                continue;
            var result = part.Objective.Evaluate(output!, batch, plan.Totals);
            own.Add(prefix, TensorData.ToDouble(result.Loss), result);
        }

        return WindowSums.Join(_exchange.All(own), prefix);
    }

    private GradientReport Report(Dictionary<string, double> norms, Dictionary<string, double> metrics, bool isFinite)
    {
        var norm = norms.Count == 1 ? norms.Values.First() : WholeNorm();
        isFinite &= double.IsFinite(norm);
        var isClipped = _options.MaxGradNorm > 0 && norm > _options.MaxGradNorm;
        _pending = ((isClipped ? _options.MaxGradNorm / norm : 1) / _lossScale.Factor, isFinite);
        return new GradientReport(isFinite, norm, norms, metrics, isClipped);
    }

    private double WholeNorm()
    {
        var own = _parts.Chunks.Sum(chunk => SquaredNorm(chunk.Shard.Gradients));
        var squares = _sharding.ShardsStates ? _exchange.All(own).Sum() : own;
        return Math.Sqrt(squares) / _lossScale.Factor;
    }

    private static double SquaredNorm(Tensor gradients)
    {
        if (HostRows.CanOpen(gradients))
            return GradientKernel.SquaredNorm(gradients);
        using var scope = NewDisposeScope();
        double norm = gradients.norm().item<float>();
        return norm * norm;
    }

    // A rank that fails tells the others, who would wait for it until their deadline.
    private T Guarded<T>(Func<T> work)
    {
        using var threads = new ThreadShare(_options.Threads);
        try
        {
            return work();
        }
        catch (Exception failure) when (_collective.Ranks > 1)
        {
            _collective.Abort($"Rank {_collective.Rank} failed: {failure.Message}");
            throw;
        }
    }

    private sealed record SavedEngine(long Steps, double LossScale, int LossScaleSteps, int Ranks, string Sharding);

    private sealed class Reading(IReadOnlyList<IShardedChunk> chunks) : IDisposable
    {
        public void Dispose()
        {
            foreach (var chunk in chunks)
                chunk.Release();
        }
    }

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
