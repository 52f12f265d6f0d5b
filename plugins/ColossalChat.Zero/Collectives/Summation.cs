using System.Numerics;
using System.Runtime.CompilerServices;

namespace ColossalChat.Zero;

/// <summary>
/// Sums of several sources in their order, element by element, so the result depends on nothing else. bfloat16 is added in
/// float32 and rounded once, to the nearest, ties to even. The destination may be one of the sources.
/// </summary>
internal static unsafe class Summation
{
    private const int Unroll = 4;

    /// <summary>Adds up.</summary>
    /// <param name="sources">Addresses of <paramref name="elements"/> elements each.</param>
    /// <param name="count">Sources, 1 or more.</param>
    /// <param name="kind">Their type.</param>
    /// <param name="destination">Where the sums go.</param>
    /// <param name="destinationKind">The same type, or float32 where the sources are bfloat16.</param>
    /// <param name="elements">0 or more.</param>
    public static void Add(byte** sources, int count, ElementKind kind, byte* destination, ElementKind destinationKind, long elements)
    {
        if (kind == ElementKind.Float32)
            AddPlain<float>((float**)sources, count, (float*)destination, elements);
        else if (kind == ElementKind.Int64)
            AddPlain<long>((long**)sources, count, (long*)destination, elements);
        else if (destinationKind == ElementKind.BFloat16)
            AddHalf((ushort**)sources, count, (ushort*)destination, elements);
        else
            AddWide((ushort**)sources, count, (float*)destination, elements);
    }

    /// <summary>One float32 to bfloat16, to the nearest, ties to even; a NaN stays one.</summary>
    public static ushort Round(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)((bits >> 16) | QuietBit) : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private const uint QuietBit = 0x40;

    private static void AddPlain<T>(T** sources, int count, T* destination, long elements)
        where T : unmanaged, INumber<T>
    {
        var (width, i) = (Vector<T>.Count, 0L);
        for (; i <= elements - (Unroll * width); i += Unroll * width)
        {
            var from = sources[0] + i;
            var (a, b, c, d) = (Vector.Load(from), Vector.Load(from + width), Vector.Load(from + (2 * width)), Vector.Load(from + (3 * width)));
            for (var k = 1; k < count; k++)
            {
                from = sources[k] + i;
                a += Vector.Load(from);
                b += Vector.Load(from + width);
                c += Vector.Load(from + (2 * width));
                d += Vector.Load(from + (3 * width));
            }

            var to = destination + i;
            a.Store(to);
            b.Store(to + width);
            c.Store(to + (2 * width));
            d.Store(to + (3 * width));
        }

        for (; i < elements; i++)
        {
            var sum = sources[0][i];
            for (var k = 1; k < count; k++)
                sum += sources[k][i];
            destination[i] = sum;
        }
    }

    private static void AddHalf(ushort** sources, int count, ushort* destination, long elements)
    {
        var (width, i) = (Vector<ushort>.Count, 0L);
        for (; i <= elements - width; i += width)
        {
            var (low, high) = WideSum(sources, count, i);
            Vector.Narrow(Round(low), Round(high)).Store(destination + i);
        }

        for (; i < elements; i++)
            destination[i] = Round(OneSum(sources, count, i));
    }

    private static void AddWide(ushort** sources, int count, float* destination, long elements)
    {
        var (width, i) = (Vector<ushort>.Count, 0L);
        for (; i <= elements - width; i += width)
        {
            var (low, high) = WideSum(sources, count, i);
            low.Store(destination + i);
            high.Store(destination + i + Vector<float>.Count);
        }

        for (; i < elements; i++)
            destination[i] = OneSum(sources, count, i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector<float> Low, Vector<float> High) WideSum(ushort** sources, int count, long at)
    {
        var (low, high) = Widen(sources[0] + at);
        for (var k = 1; k < count; k++)
        {
            var (nextLow, nextHigh) = Widen(sources[k] + at);
            low += nextLow;
            high += nextHigh;
        }

        return (low, high);
    }

    private static float OneSum(ushort** sources, int count, long at)
    {
        var sum = Widen(sources[0][at]);
        for (var k = 1; k < count; k++)
            sum += Widen(sources[k][at]);
        return sum;
    }

    private static float Widen(ushort half) => BitConverter.UInt32BitsToSingle((uint)half << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector<float> Low, Vector<float> High) Widen(ushort* from)
    {
        Vector.Widen(Vector.Load(from), out var low, out var high);
        return (Vector.AsVectorSingle(Vector.ShiftLeft(low, 16)), Vector.AsVectorSingle(Vector.ShiftLeft(high, 16)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<uint> Round(Vector<float> values)
    {
        var bits = Vector.AsVectorUInt32(values);
        var upper = Vector.ShiftRightLogical(bits, 16);
        var rounded = Vector.ShiftRightLogical(bits + new Vector<uint>(0x7FFF) + (upper & Vector<uint>.One), 16);
        var isNumber = Vector.AsVectorUInt32(Vector.Equals(values, values));
        return Vector.ConditionalSelect(isNumber, rounded, upper | new Vector<uint>(QuietBit));
    }
}
