using ColossalChat.Contracts;
using static TorchSharp.torch;

namespace ColossalChat.Zero;

// n = elements, R = ranks.

/// <summary>
/// GPUs through NCCL, on the default stream of the device, so operations queue behind libtorch's own kernels. Every operation
/// first meets over the peer links, so that who is missing or asks for something else is named, then waits for the GPU,
/// looking at the deadline. NCCL chooses the order of additions; it is the same at each call but not the rank order, and it
/// rounds bfloat16 at each step. Written against NCCL's public API; not verified on a GPU.
/// </summary>
internal sealed unsafe class NcclCollective : Collective
{
    // Elements of one rank's share that are widened at a time where the sum is wanted in float32.
    private const long WideElements = 4 << 20;
    private const nint DefaultStream = 0;
    private readonly IPeerLink?[] _links;
    private readonly Device _device;
    private nint _comm;

    public NcclCollective(IPeerGroup group, Device device, TimeSpan deadline)
        : base(group, deadline)
    {
        _device = device;
        _links = [.. Enumerable.Range(0, Ranks).Select(peer => peer == Rank ? null : group.LinkTo(peer))];
        _comm = Connect(deadline);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (_comm != 0)
            _ = Group.BrokenBy is null ? Nccl.CommDestroy(_comm) : Nccl.CommAbort(_comm);
        _comm = 0;
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override string? Unfit(Tensor tensor) =>
        tensor.device.type == TorchSharp.DeviceType.CUDA ? null : $"is on {tensor.device}; NCCL works on CUDA devices";

    /// <inheritdoc/>
    protected override void Carry(CollectiveCall call, Tensor? buffer, Tensor? slice)
    {
        Comparison.Exchange(_links, call, () => Left, Fail, Group.Place, missing => Look(call, () => missing));
        if (buffer is null || call.Elements == 0)
            return;
        UseDevice();
        if (call.Operation == CollectiveOperation.ReduceScatter && call.Kind != call.SliceKind)
            ReduceScatterWide(call, buffer, slice!);
        else
            Enqueue(call, Address(buffer), Address(slice!), call.Kind, slice!.numel());
        AwaitDevice(call);
    }

    // Only an address is taken; the memory is the GPU's and is never read here.
    private static void* Address(Tensor tensor) => (void*)DevicePointer.Of(tensor);

    private nint Connect(TimeSpan deadline)
    {
        try
        {
            Nccl.UniqueId id;
            if (Rank == 0)
                Demand(Nccl.GetUniqueId(&id), "make an id");
            var bytes = new Span<byte>(&id, Nccl.UniqueIdBytes);
            if (Rank > 0)
                _links[0]!.Receive(bytes, deadline);
            foreach (var link in Rank == 0 ? _links : [])
                link?.Send(bytes, deadline);
            UseDevice();
            nint comm;
            Demand(Nccl.CommInitRank(&comm, Ranks, id, Rank), "connect");
            return comm;
        }
        catch (DllNotFoundException error)
        {
            throw new UserErrorException($"NCCL is not installed ({error.Message}). Install libnccl2, or choose shared-memory or ring with the buffers on the CPU.");
        }
    }

    // The driver keeps the choice for each thread, and operations come on the engine's own one.
    private void UseDevice()
    {
        if (Nccl.UseDevice(Math.Max(0, _device.index)) is not 0 and var error)
            throw new UserErrorException($"{_device} cannot be used by rank {Rank}: the CUDA driver gives error {error}.");
    }

    private void Enqueue(CollectiveCall call, void* buffer, void* slice, ElementKind kind, long share)
    {
        var (type, count, own) = (Nccl.TypeOf(kind), (nuint)call.Elements, (nuint)share);
        Demand(call.Operation switch
        {
            CollectiveOperation.AllReduce => Nccl.AllReduce(buffer, buffer, count, type, Nccl.Sum, _comm, DefaultStream),
            CollectiveOperation.ReduceScatter => Nccl.ReduceScatter(buffer, slice, own, type, Nccl.Sum, _comm, DefaultStream),
            CollectiveOperation.AllGather => Nccl.AllGather(slice, buffer, own, type, _comm, DefaultStream),
            _ => Nccl.Broadcast(buffer, buffer, count, type, call.Root, _comm, DefaultStream),
        }, call.ToString());
    }

    // bfloat16 summed into float32: shares are widened part by part, so nothing is ever as large as the buffer.
    private void ReduceScatterWide(CollectiveCall call, Tensor buffer, Tensor slice)
    {
        using var scope = NewDisposeScope();
        var shares = buffer.view(Ranks, -1);
        for (var start = 0L; start < slice.numel(); start += WideElements)
        {
            var count = Math.Min(WideElements, slice.numel() - start);
            using var wide = shares.narrow(1, start, count).to(ScalarType.Float32).contiguous();
            using var part = slice.narrow(0, start, count);
            Enqueue(call, Address(wide), Address(part), ElementKind.Float32, count);
            AwaitDevice(call);
        }
    }

    private void AwaitDevice(CollectiveCall call)
    {
        while (!Nccl.IsDone(DefaultStream))
        {
            int result;
            if (Nccl.CommGetAsyncError(_comm, &result) != 0 || result is not (0 or Nccl.InProgress))
                throw Break(Fail($"NCCL failed in {call} at rank {Rank}: {Nccl.Message(result)}."));
            if (Group.BrokenBy is { } reason)
                throw Break(Breakage.From(reason));
            if (Group.Gone is { Count: > 0 } gone)
                throw Break(Fail(Breakage.IsGone(call, Group.Place, gone)));
            if (Left == TimeSpan.Zero)
                throw Break(Fail(Breakage.Stalled(call, Group.Place, $"the GPU of rank {Rank} did not finish in time.")));
            Thread.Yield();
        }
    }

    // Ends the kernels that wait for ranks that never come.
    private Exception Break(Exception error)
    {
        _ = Nccl.CommAbort(_comm);
        _comm = 0;
        return error;
    }

    private void Demand(int result, string what)
    {
        if (result is not (0 or Nccl.InProgress))
            throw new IOException($"NCCL could not {what} at rank {Rank} of group '{Group.Place.Group}': {Nccl.Message(result)}.");
    }
}
