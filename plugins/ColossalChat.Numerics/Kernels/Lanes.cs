using System.Numerics;
using System.Runtime.InteropServices;

namespace ColossalChat.Numerics.Kernels;

/// <summary>Floats as whole vectors of the machine; what does not fill one is left to the caller.</summary>
internal static class Lanes
{
    /// <summary>To read.</summary>
    public static ReadOnlySpan<Vector<float>> Of(ReadOnlySpan<float> values) => MemoryMarshal.Cast<float, Vector<float>>(values);

    /// <summary>To write.</summary>
    public static Span<Vector<float>> Into(Span<float> values) => MemoryMarshal.Cast<float, Vector<float>>(values);

    /// <summary>The largest value; one that is not a number is passed over, or makes it not a number, as the processor has it.</summary>
    public static float Largest(ReadOnlySpan<float> values)
    {
        var most = new Vector<float>(float.NegativeInfinity);
        foreach (var vector in Of(values))
            most = Vector.MaxNative(vector, most);
        var largest = float.NegativeInfinity;
        for (var i = 0; i < Vector<float>.Count; i++)
            largest = MathF.Max(largest, most[i]);
        for (var i = Tail(values); i < values.Length; i++)
            largest = MathF.Max(largest, values[i]);
        return largest;
    }

    /// <summary>Index of the first value that no whole vector holds.</summary>
    public static int Tail(ReadOnlySpan<float> values) => values.Length - (values.Length % Vector<float>.Count);
}
