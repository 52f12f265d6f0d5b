using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Heads;
using ColossalChat.Models.Llama;
using ColossalChat.PluginKit;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Models;

[Trait("Category", "CI")]
public sealed class LlamaTests
{
    private static readonly long[][] s_rows = [SmallModel.Ids(1, 9), SmallModel.Ids(2, 1), SmallModel.Ids(3, 5)];

    [Theory]
    [InlineData(9, 0)]
    [InlineData(9, 257)]
    [InlineData(20, 7)]
    public void Pads_change_no_real_position(int padded, long pad)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        using var model = SmallModel.Create();
        var together = SmallModel.Logits(model, s_rows, padded, pad).view(3, padded, -1);
        for (var row = 0; row < s_rows.Length; row++)
        {
            var alone = SmallModel.Logits(model, [s_rows[row]], s_rows[row].Length);
            Assert.InRange(SmallModel.MaxDistance(alone, together[row].narrow(0, 0, s_rows[row].Length)), 0, 1e-5);
            Assert.True(together[row].isfinite().all().item<bool>());
        }
    }

    [Fact]
    public void Later_tokens_change_no_earlier_position()
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        using var model = SmallModel.Create();
        var ids = SmallModel.Ids(4, 12);
        var whole = SmallModel.Logits(model, [ids], 12);
        ids[^1] = (ids[^1] + 1) % 256;
        var changed = SmallModel.Logits(model, [ids], 12);
        Assert.InRange(SmallModel.MaxDistance(whole.narrow(0, 0, 11), changed.narrow(0, 0, 11)), 0, 1e-6);
        Assert.True(SmallModel.MaxDistance(whole[11], changed[11]) > 1e-2);
    }

    [Fact]
    public void Order_of_tokens_matters_through_their_positions()
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        using var model = SmallModel.Create();
        var one = SmallModel.Logits(model, [[5, 6, 7, 8]], 4);
        var other = SmallModel.Logits(model, [[6, 5, 7, 8]], 4);
        Assert.True(SmallModel.MaxDistance(one[3], other[3]) > 1e-3);
    }

    [Fact]
    public void Grouped_heads_equal_full_attention_with_repeated_key_and_value_weights()
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        using var grouped = SmallModel.Create(keyValueHeads: 2);
        using var full = SmallModel.Create(keyValueHeads: 4);
        foreach (var (from, to) in grouped.AllParameters().Zip(full.AllParameters()))
            to.Value.copy_(from.Shape.SequenceEqual(to.Shape)
                ? from.Value
                : from.Value.view(2, 1, 8, 32).expand(2, 2, 8, 32).reshape(32, 32));
        var ids = s_rows[0];
        Assert.InRange(SmallModel.MaxDistance(SmallModel.Logits(grouped, [ids], 9), SmallModel.Logits(full, [ids], 9)), 0, 1e-5);
    }

    [Fact]
    public void Untied_head_is_a_parameter_of_its_own_and_tied_head_the_embedding()
    {
        using var tied = SmallModel.Create();
        using var untied = SmallModel.Create(tied: false);
        Assert.Same(tied.Embedding.Parameters[0], tied.LanguageHead.Parameters[^1]);
        Assert.Equal("lm_head.weight", untied.LanguageHead.Parameters[^1].Name);
        Assert.Equal(tied.AllParameters().Count + 1, untied.AllParameters().Count);
        Assert.Equal("lm_head", Assert.Single(untied.LanguageHead.Linears).Name);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Gradient_reaches_every_parameter_and_matches_finite_differences(bool tied)
    {
        using var scope = NewDisposeScope();
        using var model = SmallModel.Create(tied);
        var slots = model.AllParameters();
        foreach (var slot in slots)
            slot.Value.requires_grad_(true);
        float Loss()
        {
            using var inner = NewDisposeScope();
            return SmallModel.Logits(model, s_rows, 9).logsumexp(-1).narrow(0, 0, 9).sum().item<float>();
        }

        SmallModel.Logits(model, s_rows, 9).logsumexp(-1).narrow(0, 0, 9).sum().backward();
        foreach (var slot in slots)
        {
            var gradient = slot.Value.grad!;
            Assert.True(gradient.abs().max().item<float>() > 0, slot.Name);
            using var noGradient = no_grad();
            var direction = gradient / gradient.norm();
            const float Step = 3e-3f;
            slot.Value.add_(direction, Step);
            var above = Loss();
            slot.Value.add_(direction, -2 * Step);
            var below = Loss();
            slot.Value.add_(direction, Step);
            var expected = gradient.norm().item<float>();
            Assert.InRange((above - below) / (2 * Step), expected - (0.03f * expected) - 0.05f, expected + (0.03f * expected) + 0.05f);
        }
    }

    [Fact]
    public void Slots_are_read_anew_at_each_use()
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        using var model = SmallModel.Create();
        var before = SmallModel.Logits(model, [s_rows[0]], 9);
        foreach (var slot in model.AllParameters())
        {
            var old = slot.Value;
            slot.Value = old.clone().DetachFromDisposeScope();
            slot.Value.mul_(1.5);
            old.Dispose();
        }

        Assert.True(SmallModel.MaxDistance(before, SmallModel.Logits(model, [s_rows[0]], 9)) > 1e-2);
    }

    [Fact]
    public void Kernel_and_adapter_take_part_at_every_linear_site()
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        using var model = SmallModel.Create(tied: false);
        var plain = SmallModel.Logits(model, [s_rows[0]], 9);
        foreach (var site in model.Blocks.SelectMany(block => block.Linears).Concat(model.LanguageHead.Linears))
        {
            site.Kernel = new SameKernel(site);
            Assert.InRange(SmallModel.MaxDistance(plain, SmallModel.Logits(model, [s_rows[0]], 9)), 0, 1e-6);
            site.Adapter = new Doubling();
            Assert.True(SmallModel.MaxDistance(plain, SmallModel.Logits(model, [s_rows[0]], 9)) > 1e-3, site.Name);
            (site.Kernel, site.Adapter) = (null, null);
        }
    }

    [Fact]
    public void Value_head_gives_one_float32_number_a_position_and_lists_the_final_norm()
    {
        using var scope = NewDisposeScope();
        var body = SmallModel.Create();
        var head = new ValueHead(body, new RandomKey(1, RandomPurpose.Initialisation, 1));
        using var model = new ValueModel(body, head);
        using var values = head.Forward(rand(7, 32));
        Assert.Equal([7], values.shape);
        Assert.Equal(ScalarType.Float32, values.dtype);
        Assert.Equal(["model.norm.weight", "value_head.weight", "value_head.bias"], head.Parameters.Select(slot => slot.Name));
        Assert.InRange(values.abs().max().item<float>(), 1e-6, 0.5);
    }

    [Theory]
    [InlineData(ScalarType.BFloat16, 0.35)]
    [InlineData(ScalarType.Float16, 0.05)]
    public void Half_precisions_come_close_to_float32(ScalarType precision, double tolerance)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        using var exact = SmallModel.Create();
        using var half = SmallModel.Create(precision: precision);
        var (a, b) = (SmallModel.Logits(exact, [s_rows[0]], 9), SmallModel.Logits(half, [s_rows[0]], 9));
        Assert.Equal(precision, b.dtype);
        Assert.InRange(SmallModel.MaxDistance(a, b), 1e-6, tolerance);
    }

    [Fact]
    public void First_weights_follow_the_seed_and_their_spread()
    {
        using var scope = NewDisposeScope();
        using var model = SmallModel.Create();
        using var same = SmallModel.Create();
        using var other = SmallModel.Create(seed: 2);
        for (var i = 0; i < model.AllParameters().Count; i++)
        {
            var (slot, value) = (model.AllParameters()[i], model.AllParameters()[i].Value);
            Assert.Equal(0, SmallModel.MaxDistance(value, same.AllParameters()[i].Value));
            if (slot.Name.EndsWith("norm.weight", StringComparison.Ordinal))
                continue;
            Assert.True(SmallModel.MaxDistance(value, other.AllParameters()[i].Value) > 0.01);
            var expected = slot.Name.Contains("o_proj", StringComparison.Ordinal) || slot.Name.Contains("down_proj", StringComparison.Ordinal) ? 0.15 : 0.3;
            Assert.InRange(value.std().item<float>(), expected * 0.93, expected * 1.07);
            Assert.InRange(value.mean().item<float>(), -0.03, 0.03);
        }
    }

    [Fact]
    public void No_tensor_stays_behind_after_forward_passes()
    {
        using var noGradient = no_grad();
        using var model = SmallModel.Create();
        LiveTensors.StayConstant(() => SmallModel.Logits(model, s_rows, 12).Dispose(), 50);
    }

    [Theory]
    [InlineData(", \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8}", "rope_scaling asks for llama3")]
    [InlineData(", \"hidden_act\": \"gelu\"", "hidden_act is gelu")]
    [InlineData(", \"num_key_value_heads\": 3", "num_key_value_heads is 3")]
    [InlineData(", \"head_dim\": 7", "head size is 7")]
    [InlineData(", \"vocab_size\": -5", "vocab_size is -5")]
    [InlineData(", \"rms_norm_eps\": \"x\"", "rms_norm_eps is \"x\"")]
    public void Config_that_cannot_be_computed_is_refused_by_name(string extra, string expected)
    {
        var error = Assert.Throws<UserErrorException>(() => LlamaConfig.Parse(SmallModel.Config(extra: extra)));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Config_fields_have_the_defaults_of_hugging_face()
    {
        var config = LlamaConfig.Parse("""
            {"vocab_size": 10, "hidden_size": 8, "intermediate_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2, "rope_scaling": null}
            """);
        Assert.Equal((2, 4, 10000.0, 1e-6, false), (config.Shape.KeyValueHeads, config.HeadSize, config.RotaryBase, config.NormEpsilon, config.TiedHead));
    }

    private sealed class SameKernel(ILinearSite site) : ILinearKernel
    {
        public Tensor Forward(Tensor input) => nn.functional.linear(input, site.Weight.Value);
    }

    private sealed class Doubling : ILinearAdapter
    {
        public Tensor Forward(Tensor input, Tensor output) => output * 2;
    }
}
