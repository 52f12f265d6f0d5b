using System.Numerics;
using System.Runtime.CompilerServices;

namespace ColossalChat.Numerics.Kernels;

/// <summary>
/// An element type in memory, computed with as float32. Values are loaded into registers two vectors at a time, so that a
/// conversion costs no trip through a scratch row.
/// </summary>
internal unsafe interface IElement
{
    /// <summary>Two vectors from an element on.</summary>
    static abstract (Vector<float> Low, Vector<float> High) Load(void* memory, long index);

    /// <summary>Two vectors to an element on.</summary>
    static abstract void Store(Vector<float> low, Vector<float> high, void* memory, long index);

    /// <summary>One element.</summary>
    static abstract float LoadOne(void* memory, long index);

    /// <summary>One element.</summary>
    static abstract void StoreOne(float value, void* memory, long index);
}

/// <summary>float32.</summary>
internal readonly unsafe struct Float32Element : IElement
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector<float> Low, Vector<float> High) Load(void* memory, long index)
    {
        var from = (float*)memory + index;
        return (Vector.Load(from), Vector.Load(from + Vector<float>.Count));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector<float> low, Vector<float> high, void* memory, long index)
    {
        var to = (float*)memory + index;
        low.Store(to);
        high.Store(to + Vector<float>.Count);
    }

    public static float LoadOne(void* memory, long index) => ((float*)memory)[index];

    public static void StoreOne(float value, void* memory, long index) => ((float*)memory)[index] = value;
}

/// <summary>bfloat16: the upper half of a float, rounded to nearest, ties to even.</summary>
internal readonly unsafe struct BFloat16Element : IElement
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector<float> Low, Vector<float> High) Load(void* memory, long index)
    {
        Vector.Widen(Vector.Load((ushort*)memory + index), out var low, out var high);
        return (Vector.AsVectorSingle(low << 16), Vector.AsVectorSingle(high << 16));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector<float> low, Vector<float> high, void* memory, long index) =>
        Vector.Narrow(BFloat16Rows.Round(low), BFloat16Rows.Round(high)).Store((ushort*)memory + index);

    public static float LoadOne(void* memory, long index) => BitConverter.UInt32BitsToSingle((uint)((ushort*)memory)[index] << 16);

    public static void StoreOne(float value, void* memory, long index) => ((ushort*)memory)[index] = BFloat16Rows.Round(value);
}
