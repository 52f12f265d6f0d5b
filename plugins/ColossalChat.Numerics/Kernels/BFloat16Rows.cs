using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ColossalChat.Numerics.Kernels;

/// <summary>Converts between bfloat16, the upper half of a float, and float32.</summary>
public static class BFloat16Rows
{
    private const uint RoundingBias = 0x7FFF;
    private const ushort NotANumber = 0x7FC0;

    /// <summary>Exact.</summary>
    /// <param name="from">bfloat16 bits.</param>
    /// <param name="to">As many floats.</param>
    public static void Widen(ReadOnlySpan<ushort> from, Span<float> to)
    {
        var narrow = MemoryMarshal.Cast<ushort, Vector<ushort>>(from);
        var wide = MemoryMarshal.Cast<float, Vector<uint>>(to);
        for (var i = 0; i < narrow.Length; i++)
        {
            Vector.Widen(narrow[i], out var low, out var high);
            wide[2 * i] = low << 16;
            wide[(2 * i) + 1] = high << 16;
        }

        for (var i = narrow.Length * Vector<ushort>.Count; i < from.Length; i++)
            to[i] = BitConverter.UInt32BitsToSingle((uint)from[i] << 16);
    }

    /// <summary>Rounds to nearest, ties to even; not-a-number stays so.</summary>
    /// <param name="from">Floats.</param>
    /// <param name="to">As many bfloat16.</param>
    public static void Narrow(ReadOnlySpan<float> from, Span<ushort> to)
    {
        var wide = MemoryMarshal.Cast<float, Vector<float>>(from);
        var narrow = MemoryMarshal.Cast<ushort, Vector<ushort>>(to);
        for (var i = 0; i < narrow.Length; i++)
            narrow[i] = Vector.Narrow(Round(wide[2 * i]), Round(wide[(2 * i) + 1]));
        for (var i = narrow.Length * Vector<ushort>.Count; i < from.Length; i++)
            to[i] = Round(from[i]);
    }

    /// <summary>One number, rounded.</summary>
    public static ushort Round(float value)
    {
        if (float.IsNaN(value))
            return NotANumber;
        var bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + RoundingBias + ((bits >> 16) & 1)) >> 16);
    }

    // Upper halves, in the lower half of each lane. Adding half a unit may carry a NaN's bits over to a number.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector<uint> Round(Vector<float> value)
    {
        var bits = Vector.AsVectorUInt32(value);
        var rounded = (bits + new Vector<uint>(RoundingBias) + ((bits >>> 16) & Vector<uint>.One)) >>> 16;
        return Vector.ConditionalSelect(Vector.AsVectorUInt32(Vector.Equals(value, value)), rounded, new Vector<uint>(NotANumber));
    }
}
