using ColossalChat.Contracts;
using ColossalChat.Numerics;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Numerics;

/// <summary>How the elements of a test tensor lie in memory.</summary>
public enum MemoryLayout
{
    /// <summary>One after the other.</summary>
    Whole,

    /// <summary>The first part of longer rows.</summary>
    Slice,

    /// <summary>The last dimension is the outermost.</summary>
    Turned,
}

/// <summary>Compares a fused operation with the same thing composed from plain operations in higher precision.</summary>
internal static class FusedCheck
{
    /// <summary>Standard normal numbers, rounded to <paramref name="type"/>.</summary>
    public static Tensor Normal(ulong seed, ScalarType type, params long[] shape)
    {
        var key = new RandomKey(seed, RandomPurpose.Data);
        var count = shape.Aggregate(1L, (product, size) => product * size);
        return tensor([.. Enumerable.Range(0, (int)count).Select(i => (float)key.Normal(i))], shape).to(type);
    }

    /// <summary>The same values in another layout.</summary>
    public static Tensor Lay(Tensor values, MemoryLayout layout) => layout switch
    {
        MemoryLayout.Whole => values,
        MemoryLayout.Slice => cat([values, full_like(values, float.NaN)], -1).narrow(-1, 0, values.shape[^1]),
        _ => values.transpose(0, -1).contiguous().transpose(0, -1),
    };

    /// <summary>
    /// Values and gradients by all inputs are those of <paramref name="composed"/> on the same numbers in float64; and
    /// values are the same bits with and without gradients.
    /// </summary>
    /// <param name="inputs">Of the type that is tried.</param>
    /// <param name="fused">Under test.</param>
    /// <param name="composed">From plain operations.</param>
    /// <param name="tolerance">Share of an element plus the elements' root mean square.</param>
    /// <param name="size">Least root mean square that is believed: that of the terms, where they may cancel.</param>
    public static void Same(Tensor[] inputs, Func<Tensor[], Tensor> fused, Func<Tensor[], Tensor> composed, double tolerance, double size = 0)
    {
        var own = inputs.Select(input => input.detach().requires_grad_()).ToArray();
        var wide = inputs.Select(input => input.detach().to(float64).contiguous().requires_grad_()).ToArray();
        var (values, expected) = (fused(own), composed(wide));
        AssertClose(expected, values, tolerance, "values", size);
        using (no_grad())
            Assert.Equal(TensorData.ToFloats(values), TensorData.ToFloats(fused(own)));

        var slope = Normal(99, values.dtype, values.shape);
        values.backward([slope]);
        expected.backward([slope.to(float64)]);
        for (var i = 0; i < own.Length; i++)
            AssertClose(wide[i].grad!, own[i].grad!, tolerance, $"gradient {i}", size);
    }

    /// <summary>Elements differ by no more than <paramref name="tolerance"/> of themselves plus their root mean square.</summary>
    public static void AssertClose(Tensor expected, Tensor actual, double tolerance, string what, double size = 0)
    {
        Assert.Equal(expected.shape, actual.shape);
        var (e, a) = (expected.detach().to(float64).contiguous().data<double>().ToArray(), actual.detach().to(float64).contiguous().data<double>().ToArray());
        var typical = Math.Max(size, Math.Sqrt(e.Average(value => value * value)));
        for (var i = 0; i < e.Length; i++)
            if (!(Math.Abs(e[i] - a[i]) <= tolerance * (Math.Abs(e[i]) + typical)))
                Assert.Fail($"{what}[{i}]: {a[i]} instead of {e[i]}, typically {typical}.");
    }
}
