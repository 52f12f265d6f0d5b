using System.Diagnostics;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Zero;

// n = elements, R = ranks.

/// <summary>What all collectives have in common: checks, sequence numbers, groups of one, and how a failure reaches all.</summary>
internal abstract class Collective(IPeerGroup group, TimeSpan deadline) : ICollective
{
    private long _sequence;
    private long _started;

    /// <inheritdoc/>
    public int Rank => group.Place.Rank;

    /// <inheritdoc/>
    public int Ranks => group.Place.Ranks;

    protected IPeerGroup Group => group;

    /// <summary>What is left of the running operation's deadline; zero once it has passed.</summary>
    protected TimeSpan Left
    {
        get
        {
            var left = deadline - Stopwatch.GetElapsedTime(_started);
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <inheritdoc/>
    public void AllReduce(Tensor buffer)
    {
        Check(buffer, nameof(buffer));
        if (Begin(CollectiveOperation.AllReduce, buffer, buffer) is { } call)
            Run(call, buffer, buffer);
    }

    /// <inheritdoc/>
    public void ReduceScatter(Tensor buffer, Tensor ownSlice)
    {
        CheckSlice(buffer, ownSlice);
        if (ownSlice.dtype != buffer.dtype && (buffer.dtype, ownSlice.dtype) != (ScalarType.BFloat16, ScalarType.Float32))
            throw new ArgumentException($"The slice is {ownSlice.dtype} and the buffer {buffer.dtype}; only float32 for bfloat16 may differ.", nameof(ownSlice));
        if (Begin(CollectiveOperation.ReduceScatter, buffer, ownSlice) is { } call)
            Run(call, buffer, ownSlice);
        else
            ownSlice.copy_(buffer);
    }

    /// <inheritdoc/>
    public void AllGather(Tensor ownSlice, Tensor buffer)
    {
        CheckSlice(buffer, ownSlice);
        if (ownSlice.dtype != buffer.dtype)
            throw new ArgumentException($"The slice is {ownSlice.dtype} and the buffer {buffer.dtype}; they must be the same.", nameof(ownSlice));
        if (Begin(CollectiveOperation.AllGather, buffer, ownSlice) is { } call)
            Run(call, buffer, ownSlice);
        else
            buffer.copy_(ownSlice);
    }

    /// <inheritdoc/>
    public void Broadcast(Tensor buffer, int root)
    {
        Check(buffer, nameof(buffer));
        if (root < 0 || root >= Ranks)
            throw new ArgumentOutOfRangeException(nameof(root), root, $"Group '{group.Place.Group}' has ranks 0 to {Ranks - 1}.");
        if (Begin(CollectiveOperation.Broadcast, buffer, buffer, root) is { } call)
            Run(call, buffer, buffer);
    }

    /// <inheritdoc/>
    public void Barrier()
    {
        if (Begin(CollectiveOperation.Barrier, null, null) is { } call)
            Run(call, null, null);
    }

    /// <inheritdoc/>
    public void Abort(string reason) => group.Abort(reason);

    /// <inheritdoc/>
    public virtual void Dispose() => group.Dispose();

    /// <summary>
    /// Carries out one operation; the tensors are null for a barrier. Throws what <see cref="Fail"/> gives, or lets through
    /// what the group's links throw.
    /// </summary>
    protected abstract void Carry(CollectiveCall call, Tensor? buffer, Tensor? slice);

    /// <summary>What is wrong with a tensor for this kind of collective; null when nothing is.</summary>
    protected virtual string? Unfit(Tensor tensor) =>
        tensor.device.type == TorchSharp.DeviceType.CPU ? null : $"is on {tensor.device}, this collective works on the CPU; use nccl";

    /// <summary>Breaks the group and gives the exception to throw: that of the first reason.</summary>
    protected Exception Fail(string reason)
    {
        group.Abort(reason);
        return Breakage.From(group.BrokenBy ?? reason);
    }

    /// <summary>Throws when the group is broken, or one of the awaited ranks is gone, or the deadline has passed.</summary>
    protected void Look(CollectiveCall call, Func<IReadOnlyList<int>> missing)
    {
        if (group.BrokenBy is { } reason)
            throw Breakage.From(reason);
        // Who is gone is asked first: a rank that came and then left is not missing.
        var gone = group.Gone;
        var absent = gone.Count > 0 || Left == TimeSpan.Zero ? missing() : [];
        if (absent.Intersect(gone).Order().ToArray() is { Length: > 0 } lost)
            throw Fail(Breakage.IsGone(call, group.Place, lost));
        if (Left == TimeSpan.Zero && absent.Count > 0)
            throw Fail(Breakage.DidNotCome(call, group.Place, absent, deadline));
    }

    private CollectiveCall? Begin(CollectiveOperation operation, Tensor? buffer, Tensor? slice, int root = 0)
    {
        if (group.BrokenBy is { } reason)
            throw Breakage.From(reason);
        _started = Stopwatch.GetTimestamp();
        _sequence++;
        if (Ranks == 1)
            return null;
        var kind = buffer is null ? ElementKind.Float32 : FlatBuffer.KindOf(buffer);
        var sliceKind = slice is null ? kind : FlatBuffer.KindOf(slice);
        return new CollectiveCall(_sequence, buffer?.numel() ?? 0, operation, kind, sliceKind, root);
    }

    private void Run(CollectiveCall call, Tensor? buffer, Tensor? slice)
    {
        try
        {
            Carry(call, buffer, slice);
        }
        catch (TimeoutException error) when (group.BrokenBy is null)
        {
            throw Fail(Breakage.Stalled(call, group.Place, error.Message));
        }
        catch (IOException error) when (group.BrokenBy is null)
        {
            throw Fail(group.Gone is { Count: > 0 } gone ? Breakage.IsGone(call, group.Place, gone) : error.Message);
        }
        catch (IOException) when (group.BrokenBy is { } reason)
        {
            // A link says that the group is broken; every rank throws the reason itself.
            throw Breakage.From(reason);
        }

        GC.KeepAlive(buffer);
        GC.KeepAlive(slice);
    }

    private void CheckSlice(Tensor buffer, Tensor slice)
    {
        Check(buffer, nameof(buffer));
        Check(slice, nameof(slice));
        if (slice.numel() * Ranks != buffer.numel())
            throw new ArgumentException($"The slice has {slice.numel()} elements and the buffer {buffer.numel()}; with {Ranks} ranks it must be the same share for each.", nameof(slice));
    }

    private void Check(Tensor tensor, string name)
    {
        var problem = tensor.dim() != 1 ? $"has {tensor.dim()} dimensions, must have 1"
            : !tensor.is_contiguous() ? "is not contiguous"
            : Unfit(tensor);
        if (problem is not null)
            throw new ArgumentException($"The {name} of a collective {problem}.", name);
    }
}
