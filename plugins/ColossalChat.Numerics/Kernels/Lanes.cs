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

    /// <summary>Index of the first value that no whole vector holds.</summary>
    public static int Tail(ReadOnlySpan<float> values) => values.Length - (values.Length % Vector<float>.Count);
}
