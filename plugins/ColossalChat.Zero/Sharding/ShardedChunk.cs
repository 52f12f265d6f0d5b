using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Zero;

// n = elements of the chunk, padded to a multiple of the ranks; m = elements of this rank's shard.

/// <summary>
/// One flat chunk of parameters under any sharding level. Working weights are views into one buffer; gradients add up in
/// float32, so that many micro-batches lose no small contributions.
/// </summary>
internal sealed class ShardedChunk : IShardedChunk
{
    private readonly ShardingSetup _setup;
    private readonly ShardingLevel _level;
    private readonly FlatLayout _layout;
    private readonly FirstStepTrace? _trace;
    private readonly ScalarType _type;
    private readonly Device _device;
    private readonly FlatGradients? _whole;  // [n] float32, gradients of the window; null where only a shard is kept.
    private IStateMemory _memory;
    private Tensor _sums;                    // [m] float32, this rank's gradients of the window over all ranks.
    private Tensor _master;                  // [m] float32
    private Tensor _mean;                    // [m] float32
    private Tensor _square;                  // [m] float32
    private readonly Tensor _own;            // [m] working weights of this rank's shard.
    private Tensor? _weights;                // [n] working weights; null while only the shard is held.
    private FlatGradients? _staged;          // [n] gradients of this micro-batch, until they are reduced.
    private Task _pending = Task.CompletedTask;
    private Task? _gathering;
    private bool _hasReduced;
    private int _users;

    /// <summary>Takes over the slots' values; those of rank 0 count.</summary>
    public ShardedChunk(
        string name, IReadOnlyList<ParameterSlot> slots, ShardingSetup setup, ShardingLevel level, IStateMemory memory, FirstStepTrace? trace = null)
    {
        (Name, Slots, _setup, _level, _memory, _trace) = (name, slots, setup, level, memory, trace);
        (_type, _device) = (slots[0].Value.dtype, slots[0].Value.device);
        _layout = new FlatLayout(slots, Ranks);
        var part = _layout.Padded / Ranks;
        Range = level >= ShardingLevel.States ? new ShardRange(part * setup.Collective.Rank, part) : new ShardRange(0, _layout.Padded);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _weights = Flatten();
        setup.Collective.Broadcast(_weights, root: 0);
        var shard = _weights.narrow(0, Range.Start, Range.Length);
        _own = (HoldsAllWeights ? shard : shard.clone()).DetachFromDisposeScope();
        _master = IsFloat ? _own : NewState("master", Range.Length);
        if (!IsFloat)
            _master.copy_(shard);
        (_mean, _square) = (NewState("mean", Range.Length), NewState("square", Range.Length));
        _whole = HoldsAllGradients ? new FlatGradients(_layout, NewState("gradients", _layout.Padded)) : null;
        _sums = _whole is not null && Range.Length == _layout.Padded ? _whole.Flat : NewState("sums", Range.Length);
        if (HoldsAllWeights)
            Bind();
        else
            Unbind();
    }

    public string Name { get; }

    public IReadOnlyList<ParameterSlot> Slots { get; }

    public ShardRange Range { get; }

    public OptimizerShard Shard
    {
        get
        {
            _setup.Lane.Wait(_pending);
            return new OptimizerShard(_sums, _master, _mean, _square, _own);
        }
    }

    public ShardMemory Memory
    {
        get
        {
            var states = sizeof(float) * Range.Length * (IsFloat ? 2 : 3);
            var gradients = StateBytes - states;
            return _memory.IsOnDisk
                ? new ShardMemory(WeightBytes, GatheredBytes, StagedBytes, 0, StateBytes)
                : new ShardMemory(WeightBytes, GatheredBytes, gradients + StagedBytes, states, 0);
        }
    }

    /// <summary>Bytes of gradient sums, master weights and moments: what <see cref="MoveStates"/> moves.</summary>
    public long StateBytes => sizeof(float)
        * (_sums.numel() + (_whole is null || ReferenceEquals(_whole.Flat, _sums) ? 0 : _layout.Padded) + (Range.Length * (IsFloat ? 2 : 3)));

    /// <summary>Bytes of everything else.</summary>
    public long WorkingBytes => WeightBytes + GatheredBytes + StagedBytes;

    private int Width => IsFloat ? sizeof(float) : sizeof(short);

    private long WeightBytes => Width * (HoldsAllWeights ? _layout.Padded : Range.Length);

    private long GatheredBytes => HoldsAllWeights || _weights is null ? 0 : Width * _layout.Padded;

    private long StagedBytes => Width * (_staged?.Flat.numel() ?? 0);

    private int Ranks => _setup.Collective.Ranks;

    private bool IsFloat => _type == float32;

    private bool HoldsAllWeights => Ranks == 1 || _level < ShardingLevel.Weights;

    private bool HoldsAllGradients => Ranks == 1 || _level < ShardingLevel.Gradients;

    public void Prefetch()
    {
        if (_weights is not null || _gathering is not null)
            return;
        _gathering = _setup.Lane.Post(() =>
        {
            var weights = empty([_layout.Padded], _type, _device).DetachFromDisposeScope();
            _setup.Collective.AllGather(_own, weights);
            _weights = weights;
        });
    }

    public void Gather()
    {
        if (_users++ > 0)
            return;
        // Where all weights are held they are up to date: an update waits until they are.
        if (!HoldsAllWeights)
        {
            Prefetch();
            if (_gathering is { } gathering)
                _setup.Lane.Wait(gathering);
            _gathering = null;
            Bind();
        }

        _trace?.Sample();
    }

    public void Release()
    {
        if (--_users == 0 && !HoldsAllWeights)
            Unbind();
    }

    public void ZeroGradients()
    {
        _trace?.Begin();
        _setup.Lane.Wait(_pending);
        _whole?.Clear();
        _hasReduced = false;
    }

    public void Accumulate(ParameterSlot slot, Tensor gradient)
    {
        // No other micro-batch's gradients meet a staged one before it is reduced, so the weights' own type is enough for it.
        var gradients = _whole ?? (_staged ??= NewStage());
        gradients.Add(_layout.IndexOf(slot), gradient);
    }

    public void Reduce(bool isLast)
    {
        _trace?.Sample();
        if (_whole is null)
        {
            var (staged, isFirst) = (_staged ?? NewStage(), !_hasReduced);
            (_staged, _hasReduced) = (null, true);
            staged.Complete();
            _pending = _setup.Lane.Post(() => ReduceStaged(staged, isFirst));
            return;
        }

        if (!isLast)
            return;
        _whole.Complete();
        if (ReferenceEquals(_sums, _whole.Flat))
            _pending = Ranks == 1 ? Task.CompletedTask : _setup.Lane.Post(() => _setup.Collective.AllReduce(_sums));
        else
            _pending = _setup.Lane.Post(() => _setup.Collective.ReduceScatter(_whole.Flat, _sums));
    }

    public void Publish()
    {
        if (Ranks > 1 && _level is ShardingLevel.States or ShardingLevel.Gradients)
            _pending = _setup.Lane.Post(() => _setup.Collective.AllGather(_own, _weights!));
        _trace?.End(this);
    }

    /// <summary>Takes the states, as they are, to another memory. Nobody holds <see cref="Shard"/> and nothing is on its way.</summary>
    public void MoveStates(IStateMemory memory)
    {
        var sumsAreWhole = ReferenceEquals(_sums, _whole?.Flat);
        _memory = memory;
        Tensor Moved(string what, Tensor old)
        {
            using var noGrad = no_grad();
            var moved = NewState(what, old.numel());
            moved.copy_(old);
            old.Dispose();
            return moved;
        }

        if (!IsFloat)
            _master = Moved("master", _master);
        (_mean, _square) = (Moved("mean", _mean), Moved("square", _square));
        if (_whole is not null)
            _whole.Flat = Moved("gradients", _whole.Flat);
        _sums = sumsAreWhole ? _whole!.Flat : Moved("sums", _sums);
    }

    public void Dispose()
    {
        _trace?.Dispose();
        MakeWhole();
        foreach (var slot in Slots)
            slot.Value.requires_grad = false;
        foreach (var state in new[] { _mean, _square, _sums }.Concat(IsFloat ? [] : [_master]))
            state.Dispose();
        _whole?.Dispose();
        _staged?.Dispose();
        _own.Dispose();
        _weights?.Dispose();
    }

    // The model goes on without the engine. Where a rank or the lane failed there is nothing to gather any more, and whoever
    // ends the engine knows why.
    private void MakeWhole()
    {
        try
        {
            if (_users == 0)
                Gather();
            _setup.Lane.Wait(_pending);
        }
        catch (Exception) when (Ranks > 1)
        {
            return;
        }
    }

    private FlatGradients NewStage() => new(_layout, empty([_layout.Padded], _type, _device).DetachFromDisposeScope());

    private Tensor NewState(string what, long elements) => _memory.Allocate($"{Name}.{what}", elements, _device);

    private void ReduceStaged(FlatGradients staged, bool isFirst)
    {
        using (staged)
        {
            if (isFirst)
            {
                _setup.Collective.ReduceScatter(staged.Flat, _sums);
                return;
            }

            using var part = empty([Range.Length], float32, _device);
            _setup.Collective.ReduceScatter(staged.Flat, part);
            _sums.add_(part);
        }
    }

    private Tensor Flatten()
    {
        var flat = zeros([_layout.Padded], _type, _device);
        for (var i = 0; i < Slots.Count; i++)
            _layout.View(flat, i).copy_(Slots[i].Value);
        return flat.DetachFromDisposeScope();
    }

    // A detached view is a leaf of its own that shares the chunk's memory.
    private void Bind()
    {
        using var scope = NewDisposeScope();
        for (var i = 0; i < Slots.Count; i++)
            Replace(Slots[i], _layout.View(_weights!, i).detach().requires_grad_());
    }

    // What stands in for the weights has their shape and takes no memory.
    private void Unbind()
    {
        using var scope = NewDisposeScope();
        for (var i = 0; i < Slots.Count; i++)
            Replace(Slots[i], zeros([], _type, _device).expand([.. Slots[i].Shape]));
        _weights?.Dispose();
        _weights = null;
    }

    private static void Replace(ParameterSlot slot, Tensor value)
    {
        var old = slot.Value;
        slot.Value = value.DetachFromDisposeScope();
        old.Dispose();
    }
}
