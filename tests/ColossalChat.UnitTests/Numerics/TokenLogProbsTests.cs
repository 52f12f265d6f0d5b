using ColossalChat.Contracts;
using ColossalChat.Numerics;
using ColossalChat.PluginKit;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Numerics;

[Trait("Category", "CI")]
public sealed class TokenLogProbsTests
{
    [Theory] // Property 1: in pieces = whole = log-softmax and gather, gradient too; temperature once.
    [InlineData(ScalarType.Float32, 1, 1e-6)]
    [InlineData(ScalarType.Float32, 0.7, 1e-6)]
    [InlineData(ScalarType.BFloat16, 1, 1e-2)]
    public void Pieces_equal_the_whole(ScalarType type, double temperature, double tolerance)
    {
        using var scope = NewDisposeScope();
        var (raw, targets) = Data(13, 17);
        var expected = Gradients(raw, type, logits => (logits.to(float32) / temperature).log_softmax(-1).gather(1, targets.unsqueeze(1)).squeeze(1));
        foreach (var elements in new long[] { 1, 17 * 4, 1 << 20 })
        {
            var actual = Gradients(raw, type, logits => TokenLogProbs.Compute(logits, targets, temperature, elementsPerPiece: elements).LogProbs);
            AssertClose(expected.Values, actual.Values, tolerance);
            AssertClose(expected.Gradient, actual.Gradient, tolerance);
        }
    }

    [Fact]
    public void Entropy_and_argmax_are_right_and_leave_the_gradient_alone()
    {
        using var scope = NewDisposeScope();
        var logits = tensor(new[,] { { 0f, 0, 0, 0 }, { 100, 0, 0, float.NegativeInfinity } }).requires_grad_();
        var scores = TokenLogProbs.Compute(logits, tensor(new[] { 1L, 0 }), parts: TokenScoreParts.Entropy | TokenScoreParts.Argmax);
        Assert.Equal(Math.Log(4), scores.Entropy![0].item<float>(), 1e-6);
        Assert.Equal(0, scores.Entropy[1].item<float>(), 1e-6);
        Assert.False(scores.Entropy.requires_grad);
        Assert.True(scores.LogProbs.requires_grad);
        Assert.Equal([true, true], scores.IsArgmax!.data<bool>().ToArray());
    }

    [Fact]
    public void Only_the_result_stays_alive()
    {
        var (raw, targets) = Data(13, 17);
        using (raw)
        using (targets)
        {
            var parts = TokenScoreParts.Entropy | TokenScoreParts.Argmax;
            Assert.Equal(3, LiveTensors.GrowthOf(() => _ = TokenLogProbs.Compute(raw, targets, 1, parts)));
            Assert.Equal(3, LiveTensors.GrowthOf(() => _ = TokenLogProbs.Compute(raw, targets, 1, parts, elementsPerPiece: 20)));
        }
    }

    private static (Tensor Logits, Tensor Targets) Data(int n, int v)
    {
        var key = new RandomKey(3, RandomPurpose.Data);
        return (tensor(Enumerable.Range(0, n * v).Select(i => (float)(4 * key.Normal(i))).ToArray(), [n, v]),
            tensor(Enumerable.Range(0, n).Select(i => (long)(key.Bits(i) % v)).ToArray()));
    }

    private static (float[] Values, float[] Gradient) Gradients(Tensor raw, ScalarType type, Func<Tensor, Tensor> function)
    {
        var logits = raw.to(type).clone().requires_grad_();
        var values = function(logits);
        (values * arange(1, 14, float32)).sum().backward();
        return (TensorData.ToFloats(values), TensorData.ToFloats(logits.grad!));
    }

    private static void AssertClose(float[] expected, float[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(expected[i] - actual[i]) <= tolerance * Math.Max(1, Math.Abs(expected[i])), $"{i}: {expected[i]} {actual[i]}");
    }
}
