using ColossalChat.Numerics;
using Xunit;
using static ColossalChat.UnitTests.Numerics.FusedCheck;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Numerics;

[Trait("Category", "CI")]
public sealed class FusedOperationsTests
{
    // Large, so that it counts, and so that the gradient of a row of one element is no difference of equals.
    private const double Epsilon = .1;

    public static TheoryData<ScalarType, long, MemoryLayout> Rows
    {
        get
        {
            var all = new TheoryData<ScalarType, long, MemoryLayout>();
            foreach (var type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
                foreach (var length in new long[] { 1, 7, 172, 768 })
                    foreach (var layout in Enum.GetValues<MemoryLayout>())
                        all.Add(type, length, layout);
            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void Root_mean_square_norm_is_the_composed_one(ScalarType type, long length, MemoryLayout layout)
    {
        using var scope = NewDisposeScope();
        var weight = Normal(2, type, length, 2);
        Same(
            [Lay(Normal(1, type, 5, 9, length), layout), layout == MemoryLayout.Whole ? weight.select(1, 0).contiguous() : weight.select(1, 0)],
            x => RootMeanSquareNorm.Of(x[0], x[1], Epsilon),
            x => x[0] * (x[0] * x[0]).mean([-1], keepdim: true).add(Epsilon).rsqrt() * x[1],
            ToleranceOf(type));
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void Gated_unit_is_the_composed_one(ScalarType type, long length, MemoryLayout layout)
    {
        using var scope = NewDisposeScope();
        Same(
            [Lay(Normal(1, type, 3, 5, length) * 4, layout), Normal(2, type, 3, 5, length)],
            x => GatedUnit.Of(x[0], x[1]), x => x[0] * x[0].sigmoid() * x[1], ToleranceOf(type));
    }

    [Fact]
    public void Gated_unit_of_far_values_is_finite()
    {
        using var scope = NewDisposeScope();
        var gate = tensor(new[] { -1000f, -90, -88, 0, 88, 1000, -1000, -90, 1000 }).requires_grad_();
        var result = GatedUnit.Of(gate, ones_like(gate));
        result.sum().backward();
        AssertClose(tensor(new[] { 0.0, 0, 0, 0, 88, 1000, 0, 0, 1000 }), result, 1e-7, "values");
        AssertClose(tensor(new[] { 0, 0, 0, .5, 1, 1, 0, 0, 1 }), gate.grad!, 1e-7, "gradient");
    }

    public static TheoryData<ScalarType, long, bool, MemoryLayout> Turns
    {
        get
        {
            var all = new TheoryData<ScalarType, long, bool, MemoryLayout>();
            foreach (var type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
                foreach (var size in new long[] { 2, 6, 14, 48, 172 })
                    foreach (var layout in Enum.GetValues<MemoryLayout>())
                        all.Add(type, size, layout != MemoryLayout.Whole, layout);
            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Turns))]
    public void Rotary_embedding_is_the_composed_one(ScalarType type, long size, bool perRow, MemoryLayout layout)
    {
        using var scope = NewDisposeScope();
        long[] shape = perRow ? [3, 5, 1, size / 2] : [5, 1, size / 2];
        var (c, s) = (Normal(4, type, shape), Normal(5, type, shape));
        var (cos, sin) = (cat([c, c], -1), cat([-s, s], -1));
        Same(
            [Lay(Normal(1, type, 3, 5, 2, size), layout)],
            x => RotaryEmbedding.Of(x[0], Lay(cos, layout), Lay(sin, layout)),
            x => (x[0] * cos.to(float64)) + (x[0].roll(size / 2, -1) * sin.to(float64)),
            ToleranceOf(type));
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void Token_scores_are_the_composed_ones(ScalarType type, long length, MemoryLayout layout)
    {
        using var scope = NewDisposeScope();
        foreach (var temperature in new[] { 1, .7, 2.5 })
        {
            var logits = Lay(Normal(1, type, 33, length) * 4, layout);
            var targets = tensor([.. Enumerable.Range(0, 66).Select(i => (long)i * 31 % length)]).view(33, 2).select(1, 0);
            Same(
                [logits],
                x => TokenScoring.Of(x[0], targets, temperature, TokenScoreParts.None).LogProbs,
                x => (x[0] / temperature).log_softmax(-1).gather(1, targets.unsqueeze(1)).squeeze(1),
                ToleranceOf(type));

            var scores = TokenScoring.Of(logits, targets, temperature, TokenScoreParts.Entropy | TokenScoreParts.Argmax);
            var logP = (logits.to(float64) / temperature).log_softmax(-1);
            AssertClose(-(logP.exp() * logP).sum(-1), scores.Entropy!, 2e-5, "entropy");
            var best = logits.amax([-1]).eq(logits.gather(1, targets.unsqueeze(1)).squeeze(1));
            Assert.Equal(best.data<bool>().ToArray(), scores.IsArgmax!.data<bool>().ToArray());
        }
    }

    [Fact]
    public void Token_scores_pass_over_tokens_that_are_ruled_out()
    {
        using var scope = NewDisposeScope();
        var logits = tensor([.. Enumerable.Range(0, 19).Select(i => i % 3 == 1 ? float.NegativeInfinity : 0)], 1, 19).requires_grad_();
        var scores = TokenScoring.Of(logits, tensor(new[] { 0L }), .5, TokenScoreParts.Entropy);
        scores.LogProbs.backward();
        Assert.Equal(-Math.Log(13), scores.LogProbs.item<float>(), 1e-5);
        Assert.Equal(Math.Log(13), scores.Entropy!.item<float>(), 1e-5);
        Assert.Equal(0, logits.grad![0, 1].item<float>());
    }

    public static TheoryData<ScalarType, int, int> Attentions
    {
        get
        {
            var all = new TheoryData<ScalarType, int, int>();
            foreach (var type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
                foreach (var tokens in new[] { 1, 5, 127, 128, 129, 300 })
                    foreach (var groups in new[] { 1, 2, 3 })
                        all.Add(type, tokens, groups);
            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Attentions))]
    public void Attention_is_the_composed_one(ScalarType type, int tokens, int groups)
    {
        using var scope = NewDisposeScope();
        foreach (var (rows, size, layout) in new[] { (2, 20, MemoryLayout.Whole), (1, 7, MemoryLayout.Slice), (2, 7, MemoryLayout.Turned) })
            Same(
                [.. Qkv(type, rows, tokens, groups, size).Select(part => Lay(part, layout))],
                x => CausalAttention.Of(x[0], x[1], x[2]), Attend, type == ScalarType.Float32 ? 1e-5 : 2e-2, size: 1); // Scores are rounded to bfloat16, and a key's gradient adds many up.
    }

    [Theory]
    [InlineData(5)]
    [InlineData(129)]
    [InlineData(300)]
    public void Attention_does_not_depend_on_later_tokens(int tokens)
    {
        using var scope = NewDisposeScope();
        var parts = Qkv(ScalarType.BFloat16, 2, tokens, 2, 20);
        var changed = parts.Select(part => part.clone()).ToArray();
        foreach (var part in changed)
            part.narrow(1, tokens - 2, 2).mul_(-7);

        var (before, after) = (CausalAttention.Of(parts[0], parts[1], parts[2]), CausalAttention.Of(changed[0], changed[1], changed[2]));

        Assert.Equal(TensorData.ToFloats(before.narrow(1, 0, tokens - 2)), TensorData.ToFloats(after.narrow(1, 0, tokens - 2)));
        Assert.NotEqual(TensorData.ToFloats(before.narrow(1, tokens - 1, 1)), TensorData.ToFloats(after.narrow(1, tokens - 1, 1)));
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void The_number_of_threads_changes_no_bit(ScalarType type)
    {
        using var scope = NewDisposeScope();
        var threads = get_num_threads();
        try
        {
            set_num_threads(1);
            var alone = Gradients(type);
            set_num_threads(3);
            Assert.Equal(alone, Gradients(type));
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    // Enough rows for several pieces of work; the weight's gradient is a sum over all of them.
    private static float[] Gradients(ScalarType type)
    {
        using var scope = NewDisposeScope();
        var (x, w) = (Normal(1, type, 700, 172).requires_grad_(), Normal(2, type, 172).requires_grad_());
        var targets = zeros([700], int64);
        var normed = RootMeanSquareNorm.Of(x, w, Epsilon);
        var turned = RotaryEmbedding.Of(GatedUnit.Of(normed, x).view(7, 100, 1, 172), Normal(3, type, 100, 1, 172), Normal(4, type, 100, 1, 172));
        TokenScoring.Of(turned.view(700, 172), targets, 1, TokenScoreParts.None).LogProbs.sum().backward();
        return [.. TensorData.ToFloats(x.grad!), .. TensorData.ToFloats(w.grad!)];
    }

    private static double ToleranceOf(ScalarType type) => type == ScalarType.Float32 ? 1e-5 : 1e-2;

    private static Tensor[] Qkv(ScalarType type, int rows, int tokens, int groups, int size) =>
    [
        Normal(1, type, rows, tokens, 2 * groups, size), Normal(2, type, rows, tokens, 2, size), Normal(3, type, rows, tokens, 2, size),
    ];

    private static Tensor Attend(Tensor[] parts)
    {
        var (query, tokens, size) = (parts[0], parts[0].shape[1], parts[0].shape[3]);
        var groups = query.shape[2] / parts[1].shape[2];
        var (key, value) = (parts[1].repeat_interleave(groups, 2), parts[2].repeat_interleave(groups, 2));
        var scores = einsum("bqhd,bkhd->bhqk", query, key) / Math.Sqrt(size);
        var hidden = ones([tokens, tokens], @bool).triu(1);
        return einsum("bhqk,bkhd->bqhd", scores.masked_fill(hidden, double.NegativeInfinity).softmax(-1), value);
    }
}
