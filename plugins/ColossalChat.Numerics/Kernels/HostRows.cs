using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace ColossalChat.Numerics.Kernels;

/// <summary>
/// Rows of a contiguous tensor in host memory, read and written as float32 whatever its element type. A row fits into the
/// first cache, so converting it first costs no trip to memory.
/// </summary>
public readonly unsafe struct HostRows
{
    private readonly byte* _memory;
    private readonly bool _isNarrow;

    private HostRows(byte* memory, bool isNarrow, int length)
    {
        _memory = memory;
        _isNarrow = isNarrow;
        Length = length;
    }

    /// <summary>Elements of a row.</summary>
    public int Length { get; }

    /// <summary>True for tensors that <see cref="Of"/> can open.</summary>
    public static bool CanOpen(Tensor tensor) =>
        tensor.device_type == DeviceType.CPU && tensor.dtype is ScalarType.Float32 or ScalarType.BFloat16;

    /// <summary>Opens a tensor, which must outlive the result.</summary>
    /// <param name="tensor">[.., length], contiguous, float32 or bfloat16, in host memory.</param>
    /// <param name="length">Elements of a row.</param>
    public static HostRows Of(Tensor tensor, int length) =>
        new HostRows((byte*)AddressOf(tensor), tensor.dtype == ScalarType.BFloat16, length);

    /// <summary>Where a contiguous tensor's elements begin; it must outlive every use.</summary>
    internal static void* AddressOf(Tensor tensor)
    {
        // All of a tensor's memory follows its first element; bytes itself ends at 2 GB.
        using var flat = tensor.view(-1);
        using var first = flat.narrow(0, 0, Math.Min(1, flat.shape[0]));
        return Unsafe.AsPointer(ref first.bytes.GetPinnableReference());
    }

    /// <summary>Opens a contiguous tensor's elements from <paramref name="start"/> on as rows.</summary>
    public static HostRows At(Tensor tensor, long start, int length)
    {
        using var flat = tensor.view(-1);
        using var rest = flat.narrow(0, start, tensor.numel() - start);
        return Of(rest, length);
    }

    /// <summary>A row's values.</summary>
    /// <param name="row">From 0.</param>
    /// <param name="scratch">Holds them where they have to be converted; at least <see cref="Length"/> long.</param>
    public ReadOnlySpan<float> Read(long row, Span<float> scratch) => Read(row, Length, scratch);

    /// <summary>The first values of a row.</summary>
    /// <param name="row">From 0.</param>
    /// <param name="count">How many of them, up to <see cref="Length"/>.</param>
    /// <param name="scratch">Holds them where they have to be converted; at least <paramref name="count"/> long.</param>
    public ReadOnlySpan<float> Read(long row, int count, Span<float> scratch)
    {
        if (!_isNarrow)
            return new ReadOnlySpan<float>(_memory + (row * Length * sizeof(float)), count);
        var values = scratch[..count];
        BFloat16Rows.Widen(new ReadOnlySpan<ushort>(_memory + (row * Length * sizeof(ushort)), count), values);
        return values;
    }

    /// <summary>Where to put a row's new values before <see cref="Keep"/>: the row itself, or the scratch.</summary>
    public Span<float> Begin(long row, Span<float> scratch) =>
        _isNarrow ? scratch[..Length] : new Span<float>(_memory + (row * Length * sizeof(float)), Length);

    /// <summary>Ends what <see cref="Begin"/> began.</summary>
    public void Keep(long row, ReadOnlySpan<float> values)
    {
        if (_isNarrow)
            BFloat16Rows.Narrow(values, new Span<ushort>(_memory + (row * Length * sizeof(ushort)), Length));
    }

    /// <summary>Ends what <see cref="Begin"/> began for the first values of a row; the others become 0.</summary>
    public void KeepFirst(long row, ReadOnlySpan<float> values)
    {
        var width = _isNarrow ? sizeof(ushort) : sizeof(float);
        if (_isNarrow)
            BFloat16Rows.Narrow(values, new Span<ushort>(_memory + (row * Length * width), values.Length));
        new Span<byte>(_memory + (((row * Length) + values.Length) * width), (Length - values.Length) * width).Clear();
    }
}
