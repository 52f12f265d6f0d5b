using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace ColossalChat.Zero;

/// <summary>Element types that collectives carry.</summary>
internal enum ElementKind
{
    Float32 = 0,
    BFloat16 = 1,
    Int64 = 2,
}

/// <summary>
/// The memory of a flat tensor on the CPU. Valid while the tensor lives; sizes are not bounded by 2 GB, because only the
/// address is taken from a span.
/// </summary>
internal readonly unsafe struct FlatBuffer(byte* address, long elements, ElementKind kind)
{
    public byte* Address => address;

    public long Elements => elements;

    public ElementKind Kind => kind;

    /// <summary>Bytes of an element.</summary>
    public int Size => SizeOf(kind);

    public long Bytes => elements * Size;

    public byte* At(long element) => address + (element * Size);

    public static FlatBuffer Of(Tensor tensor)
    {
        var kind = KindOf(tensor);
        var elements = tensor.numel();
        if (elements == 0)
            return new FlatBuffer(null, 0, kind);
        using var first = tensor.narrow(0, 0, 1);
        return new FlatBuffer((byte*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref MemoryMarshal.GetReference(first.bytes)), elements, kind);
    }

    public static ElementKind KindOf(Tensor tensor) => tensor.dtype switch
    {
        ScalarType.Float32 => ElementKind.Float32,
        ScalarType.BFloat16 => ElementKind.BFloat16,
        ScalarType.Int64 => ElementKind.Int64,
        var other => throw new ArgumentException($"A collective carries float32, bfloat16 and int64; the buffer is {other}."),
    };

    public static int SizeOf(ElementKind kind) => kind switch
    {
        ElementKind.Float32 => 4,
        ElementKind.BFloat16 => 2,
        _ => 8,
    };
}
