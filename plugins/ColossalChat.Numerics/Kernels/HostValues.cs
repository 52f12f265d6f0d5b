using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace ColossalChat.Numerics.Kernels;

/// <summary>Elements of a contiguous tensor in host memory, or of none.</summary>
/// <typeparam name="T">The tensor's element type.</typeparam>
internal readonly unsafe struct HostValues<T>
    where T : unmanaged
{
    private readonly T* _memory;

    private HostValues(T* memory) => _memory = memory;

    /// <summary>False when there is no tensor.</summary>
    public bool Exists => _memory is not null;

    /// <summary>An element.</summary>
    public ref T this[long index] => ref _memory[index];

    /// <summary>Opens a tensor, which must outlive the result; null opens none.</summary>
    public static HostValues<T> Of(Tensor? tensor)
    {
        if (tensor is null || tensor.numel() == 0)
            return default;
        using var flat = tensor.view(-1);
        using var first = flat.narrow(0, 0, 1);
        return new HostValues<T>((T*)Unsafe.AsPointer(ref first.bytes.GetPinnableReference()));
    }
}
