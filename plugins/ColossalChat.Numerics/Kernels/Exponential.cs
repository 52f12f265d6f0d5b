using System.Numerics;
using System.Runtime.CompilerServices;

namespace ColossalChat.Numerics.Kernels;

/// <summary>
/// e^x of whole vectors in single precision, within 2 units in the last place: the exponent is cut into a power of two
/// and a rest of at most ln(2) / 2 (Cody and Waite), whose exponential is a polynomial of degree 6 (minimax).
/// </summary>
internal static class Exponential
{
    // Beyond these e^x is 0 and infinity, which the powers of two below give by themselves: the low one exactly, because
    // numbers too small for a float are slow on some processors, and masks are full of minus infinity.
    private const float Lowest = -176f;
    private const float Highest = 89f;
    private const float Log2OfE = 1.44269504f;

    // ln(2) in two parts: whole multiples of the first are exact.
    private const float Ln2High = 0.693359375f;
    private const float Ln2Low = -2.12194440e-4f;
    private const int ExponentBias = 127;
    private const int MantissaBits = 23;

    /// <summary>e^x; 0 for very low x, infinity for very high x, not-a-number for not-a-number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Of(Vector<float> x)
    {
        // The processor's own comparisons keep their second operand when one is not a number.
        var bounded = Vector.MinNative(new Vector<float>(Highest), Vector.MaxNative(new Vector<float>(Lowest), x));
        var whole = Vector.Round(bounded * Log2OfE);
        var rest = Vector.FusedMultiplyAdd(whole, new Vector<float>(-Ln2High), bounded);
        rest = Vector.FusedMultiplyAdd(whole, new Vector<float>(-Ln2Low), rest);
        var sum = Vector.FusedMultiplyAdd(rest, new Vector<float>(1.9875691500e-4f), new Vector<float>(1.3981999507e-3f));
        sum = Vector.FusedMultiplyAdd(sum, rest, new Vector<float>(8.3334519073e-3f));
        sum = Vector.FusedMultiplyAdd(sum, rest, new Vector<float>(4.1665795894e-2f));
        sum = Vector.FusedMultiplyAdd(sum, rest, new Vector<float>(1.6666665459e-1f));
        sum = Vector.FusedMultiplyAdd(sum, rest, new Vector<float>(5.0000001201e-1f));
        sum = Vector.FusedMultiplyAdd(sum, rest * rest, rest) + Vector<float>.One;

        // 2^128 is no float, and neither is 2^-150, so the power is taken in two halves.
        var exponent = Vector.ConvertToInt32Native(whole);
        var half = Vector.ShiftRightArithmetic(exponent, 1);
        return sum * PowerOfTwo(half) * PowerOfTwo(exponent - half);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> PowerOfTwo(Vector<int> exponent) =>
        Vector.AsVectorSingle(Vector.ShiftLeft(exponent + new Vector<int>(ExponentBias), MantissaBits));
}
