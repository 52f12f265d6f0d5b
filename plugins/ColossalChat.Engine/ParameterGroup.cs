using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using TorchSharp;
using static TorchSharp.torch;

namespace ColossalChat.Engine;

// n = elements of the group.

/// <summary>
/// Parameters that are updated together: one flat chunk of weights, one of gradients, and the optimiser's state. Gradients
/// add up in float32 whatever the weights' type, so many micro-batches lose no small contributions.
/// </summary>
internal sealed class ParameterGroup : IDisposable
{
    private readonly IShardedGroup _shard;
    private readonly Tensor _backward;   // [n], the weights' type: every parameter's grad is a view into it.
    private readonly Tensor _gradients;  // [n] float32; the same tensor as _backward when that is float32.
    private readonly Tensor _master;     // [n] float32; the weights themselves when they are float32.
    private readonly Tensor _mean;       // [n] float32
    private readonly Tensor _square;     // [n] float32
    private readonly long _decaying;     // The first so many elements belong to matrices.

    public ParameterGroup(string name, IReadOnlyList<ParameterSlot> slots, IShardingStrategy strategy, ICollective collective)
    {
        // Matrices first, so that weight decay is one range; the sort is stable.
        Slots = [.. slots.OrderBy(slot => slot.Shape.Count >= 2 ? 0 : 1)];
        _decaying = Slots.Where(slot => slot.Shape.Count >= 2).Sum(slot => slot.Value.numel());
        _shard = strategy.Shard(name, Slots, collective);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var weights = _shard.OwnShard;
        var isFloat = weights.dtype == float32;
        _backward = zeros_like(weights).DetachFromDisposeScope();
        _gradients = isFloat ? _backward : New(weights);
        _master = isFloat ? weights : weights.to(float32).DetachFromDisposeScope();
        (_mean, _square) = (New(weights), New(weights));
        foreach (var (slot, view) in Views(_backward))
            slot.Value.grad = view;
    }

    public IReadOnlyList<ParameterSlot> Slots { get; }

    private bool HasMaster => !ReferenceEquals(_master, _shard.OwnShard);

    public void Gather() => _shard.Gather();

    public void ZeroGradients()
    {
        using var scope = NewDisposeScope();
        _gradients.zero_();
        if (HasMaster)
            _backward.zero_();
    }

    /// <summary>Takes over what one backward pass left.</summary>
    public void CollectBackward()
    {
        if (!HasMaster)
            return;
        using var scope = NewDisposeScope();
        _gradients.add_(_backward);
        _backward.zero_();
    }

    /// <summary>Sum of squares of all gradients.</summary>
    public double SquaredNorm()
    {
        using var scope = NewDisposeScope();
        double norm = _gradients.norm().item<float>();
        return norm * norm;
    }

    /// <summary>Moves the gradients out and starts again at 0.</summary>
    public Tensor TakeGradients()
    {
        var copy = _gradients.clone();
        ZeroGradients();
        return copy;
    }

    public void AddGradients(Tensor gradients)
    {
        using var scope = NewDisposeScope();
        _gradients.add_(gradients);
    }

    public void Update(AdamW optimizer, AdamStep step)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var gradients = _shard.ReduceGradients(_gradients);
        var rest = _master.numel() - _decaying;
        foreach (var (start, length, decays) in new[] { (0L, _decaying, true), (_decaying, rest, false) })
        {
            optimizer.Update(
                _master.narrow(0, start, length),
                gradients.narrow(0, start, length),
                _mean.narrow(0, start, length),
                _square.narrow(0, start, length),
                decays,
                step);
        }

        if (HasMaster)
            _shard.OwnShard.copy_(_master);
        _shard.Publish();
    }

    public void Capture(IStateWriter writer)
    {
        foreach (var (prefix, flat) in StateTensors())
        {
            using var scope = NewDisposeScope();
            foreach (var (slot, view) in Views(flat))
                writer.WriteTensor(prefix + slot.Name, TypeOf(view.dtype), [.. slot.Shape], view.cpu().bytes);
        }
    }

    public void Restore(IStateReader reader)
    {
        using var noGrad = no_grad();
        foreach (var (prefix, flat) in StateTensors())
        {
            using var scope = NewDisposeScope();
            foreach (var (slot, view) in Views(flat))
                ReadInto(reader, prefix + slot.Name, view);
        }

        _shard.Publish();
    }

    public void Dispose()
    {
        foreach (var slot in Slots)
        {
            slot.Value.grad = null;
            slot.Value.requires_grad = false;
        }

        if (HasMaster)
        {
            _master.Dispose();
            _gradients.Dispose();
        }

        _backward.Dispose();
        _mean.Dispose();
        _square.Dispose();
        _shard.Dispose();
    }

    private static Tensor New(Tensor like) =>
        zeros([like.numel()], float32, like.device).DetachFromDisposeScope();

    private static void ReadInto(IStateReader reader, string name, Tensor view)
    {
        var (type, shape) = reader.Describe(name);
        if (type != TypeOf(view.dtype) || !shape.AsSpan().SequenceEqual(view.shape))
        {
            throw new UserErrorException(
                $"Saved tensor {name} is {type} [{string.Join(", ", shape)}], but this model needs {TypeOf(view.dtype)} " +
                $"[{string.Join(", ", view.shape)}]. Resume with the model and precision the checkpoint was made with.");
        }

        if (view.device_type == DeviceType.CPU)
        {
            reader.ReadTensor(name, view.bytes);
            return;
        }

        var host = empty(view.shape, view.dtype);
        reader.ReadTensor(name, host.bytes);
        view.copy_(host);
    }

    private static ElementType TypeOf(ScalarType type) => type switch
    {
        ScalarType.Float32 => ElementType.Float32,
        ScalarType.BFloat16 => ElementType.BFloat16,
        ScalarType.Float16 => ElementType.Float16,
        _ => throw new NotSupportedException($"Parameters of type {type} cannot be saved."),
    };

    private IEnumerable<(string Prefix, Tensor Flat)> StateTensors()
    {
        yield return ("weights/", _shard.OwnShard);
        if (HasMaster)
            yield return ("master/", _master);
        yield return ("adam-mean/", _mean);
        yield return ("adam-square/", _square);
    }

    private IEnumerable<(ParameterSlot Slot, Tensor View)> Views(Tensor flat)
    {
        var offset = 0L;
        foreach (var slot in Slots)
        {
            var length = slot.Value.numel();
            yield return (slot, flat.narrow(0, offset, length).view(slot.Shape.ToArray()));
            offset += length;
        }
    }
}
