using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Lora;
using ColossalChat.Numerics;
using ColossalChat.PluginKit;
using ColossalChat.UnitTests.Models;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Lora;

[Trait("Category", "CI")]
public sealed class LoraTests
{
    private static readonly long[] Ids = [1, 5, 3, 9, 2];

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void The_model_computes_exactly_the_base_When_the_adapter_is_new(ScalarType precision)
    {
        using var model = new SiteModel(precision: precision);
        using var before = model.Logits(Ids);
        using var adapter = Attach(model, new LoraOptions());

        using var after = model.Logits(Ids);

        Assert.Equal(Floats(before), Floats(after));
    }

    [Fact]
    public void The_model_computes_exactly_the_base_When_a_trained_adapter_is_off()
    {
        using var model = new SiteModel();
        using var before = model.Logits(Ids);
        using var adapter = Trained(model, new LoraOptions());
        using var on = model.Logits(Ids);
        Assert.NotEqual(Floats(before), Floats(on));

        adapter.Enabled = false;

        using var off = model.Logits(Ids);
        Assert.Equal(Floats(before), Floats(off));
        adapter.Enabled = true;
        using var again = model.Logits(Ids);
        Assert.Equal(Floats(on), Floats(again));
    }

    [Fact]
    public void The_layers_add_alpha_over_rank_times_B_A_x_When_on()
    {
        using var model = new SiteModel(layers: 1);
        using var adapter = Trained(model, new LoraOptions { Rank = 2, Alpha = 6, TargetPatterns = ["q_proj"] });
        var site = model.Blocks[0].Linears[0];
        using var scope = NewDisposeScope();
        var x = arange(8, float32).reshape(1, 8);
        var output = zeros(1, 8);

        var result = site.Adapter!.Forward(x, output);

        var expected = x.matmul(adapter.Parameters[0].Value.t()).matmul(adapter.Parameters[1].Value.t()) * 3;
        AssertClose(Floats(expected), Floats(result), 1e-5);
    }

    [Fact]
    public void Merged_equals_adapter_on_and_unmerged_is_the_base_bit_for_bit_When_trained()
    {
        using var model = new SiteModel();
        var weights = model.AllParameters().ToDictionary(slot => slot, slot => Floats(slot.Value));
        using var adapter = Trained(model, new LoraOptions { Rank = 4, TargetPatterns = ["all-linear"] });
        using var on = model.Logits(Ids);

        adapter.Merge();

        Assert.True(adapter.Merged);
        Assert.NotEqual(weights.First(w => w.Key.Name.Contains("q_proj", StringComparison.Ordinal)).Value, Floats(model.Blocks[0].Parameters[0].Value));
        using (var merged = model.Logits(Ids))
            AssertClose(Floats(on), Floats(merged), 1e-5);
        adapter.Unmerge();
        Assert.False(adapter.Merged);
        foreach (var (slot, values) in weights)
            Assert.Equal(values, Floats(slot.Value));
        using var unmerged = model.Logits(Ids);
        Assert.Equal(Floats(on), Floats(unmerged));
    }

    [Fact]
    public void The_base_is_shown_When_a_merged_adapter_is_off()
    {
        using var model = new SiteModel();
        using var before = model.Logits(Ids);
        using var adapter = Trained(model, new LoraOptions());
        adapter.Merge();

        adapter.Enabled = false;
        using (var off = model.Logits(Ids))
            Assert.Equal(Floats(before), Floats(off));
        adapter.Enabled = true;
        using var merged = model.Logits(Ids);
        Assert.NotEqual(Floats(before), Floats(merged));
    }

    [Fact]
    public void Only_adapter_parameters_are_listed_by_their_PEFT_names_When_attached()
    {
        using var model = new SiteModel(layers: 1);
        using var adapter = Attach(model, new LoraOptions { Rank = 3, TargetPatterns = ["q_proj", "v_proj"] });

        Assert.Equal(
            [
                ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", "3x8"),
                ("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", "8x3"),
                ("base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight", "3x8"),
                ("base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight", "8x3"),
            ],
            adapter.Parameters.Select(slot => (slot.Name, string.Join('x', slot.Shape))));
    }

    [Fact]
    public void The_gradient_reaches_A_and_B_and_no_base_weight_When_trained()
    {
        using var scope = NewDisposeScope();
        using var model = new SiteModel();
        using var adapter = Trained(model, new LoraOptions());
        adapter.Training = true;

        model.Logits(Ids).pow(2).sum().backward();

        Assert.All(adapter.Parameters, slot => Assert.True(slot.Value.grad is { } g && g.abs().max().item<float>() > 1e-6, slot.Name));
        Assert.All(model.AllParameters(), slot => Assert.True(slot.Value.grad is null, slot.Name));
    }

    [Fact]
    public void The_first_weights_repeat_and_stay_in_their_bounds_When_the_seed_is_the_same()
    {
        using var model = new SiteModel();
        float[] first;
        using (var adapter = Attach(model, new LoraOptions()))
            first = Floats(adapter.Parameters[0].Value);
        using var again = Attach(model, new LoraOptions());

        Assert.Equal(first, Floats(again.Parameters[0].Value));
        Assert.NotEqual(first, Floats(again.Parameters[2].Value));
        Assert.All(first, value => Assert.InRange(value, -1 / MathF.Sqrt(8), 1 / MathF.Sqrt(8)));
        Assert.All(Floats(again.Parameters[1].Value), value => Assert.Equal(0, value));
    }

    [Fact]
    public void Inputs_are_dropped_in_training_only_and_the_same_ones_when_recomputed_When_dropout_is_set()
    {
        using var model = new SiteModel();
        using var adapter = Trained(model, new LoraOptions { Dropout = 0.5 });
        using var off = model.Logits(Ids);
        adapter.Training = true;
        using var first = model.Logits(Ids);
        torch.manual_seed(99);
        using var recomputed = model.Logits(Ids);
        adapter.Training = false;
        using var offAgain = model.Logits(Ids);

        Assert.NotEqual(Floats(off), Floats(first));
        Assert.Equal(Floats(first), Floats(recomputed));
        Assert.Equal(Floats(off), Floats(offAgain));
    }

    [Fact]
    public void Other_inputs_are_dropped_When_a_step_has_changed_the_adapter()
    {
        using var model = new SiteModel(layers: 1);
        using var adapter = Trained(model, new LoraOptions { Dropout = 0.5, TargetPatterns = ["q_proj"] });
        adapter.Training = true;
        using var scope = NewDisposeScope();
        var site = model.Blocks[0].Linears[0].Adapter!;
        using var noGradient = no_grad();
        adapter.Parameters[0].Value.fill_(1);
        var (x, output) = (ones(64, 8), zeros(64, 8));
        var before = Floats(site.Forward(x, output).select(1, 0) / adapter.Parameters[1].Value[0, 0]);

        adapter.Parameters[1].Value.mul_(2);

        var after = Floats(site.Forward(x, output).select(1, 0) / adapter.Parameters[1].Value[0, 0]);
        Assert.True(before.Zip(after).Count(pair => Math.Abs(pair.First - pair.Second) > 0.1) > 20);
    }

    [Fact]
    public void The_expected_output_is_kept_When_inputs_are_dropped()
    {
        using var model = new SiteModel(layers: 1);
        using var adapter = Trained(model, new LoraOptions { Dropout = 0.25, TargetPatterns = ["q_proj"] });
        using var scope = NewDisposeScope();
        var site = model.Blocks[0].Linears[0].Adapter!;
        var (x, output) = (ones(20000, 8), zeros(20000, 8));
        var whole = Floats(site.Forward(x, output).mean([0]));
        adapter.Training = true;

        var dropped = Floats(site.Forward(x, output).mean([0]));

        AssertClose(whole, dropped, 0.02);
    }

    [Fact]
    public void How_a_window_is_cut_does_not_change_the_gradient_When_inputs_are_dropped()
    {
        using var model = SmallModel.Create();
        using var adapter = Trained(model, new LoraOptions { Dropout = 0.5, TargetPatterns = ["all-linear"] });
        var undropped = GradientOf(model, adapter, 8192, [0, 1, 2, 3, 4]);
        adapter.Training = true;

        var whole = GradientOf(model, adapter, 8192, [0, 1, 2, 3, 4]);

        Assert.True(whole.Zip(undropped, (a, b) => Math.Abs(a - b)).Max() > 1e-2);
        foreach (var tokens in (int[])[1, 12, 20])
            AssertClose(whole, GradientOf(model, adapter, tokens, [0, 1, 2, 3, 4]), 1e-4);
        AssertClose(whole, GradientOf(model, adapter, 12, [4, 2, 0, 3, 1]), 1e-4);
    }

    [Fact]
    public void Rows_and_positions_drop_inputs_of_their_own_at_the_rate_that_is_set()
    {
        using var model = new SiteModel(layers: 1);
        using var adapter = Trained(model, new LoraOptions { Rank = 1, Dropout = 0.25, TargetPatterns = ["q_proj"] });
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var site = model.Blocks[0].Linears[0].Adapter!;
        adapter.Training = true;
        var layout = new SequenceLayout([2000, 1999], 2000) { RowKeys = [5, 6] };

        // A that reads one input at a time shows which were dropped.
        var kept = Enumerable.Range(0, 8).Select(input =>
        {
            adapter.Parameters[0].Value.zero_();
            adapter.Parameters[0].Value[0, input] = 1f;
            return site.Forward(ones(2, 2000, 8), zeros(2, 2000, 8), layout).select(2, 1).ne(0);
        }).ToArray();
        var all = stack(kept, -1);

        for (var input = 0; input < 8; input++)
        {
            Assert.InRange(kept[input].to(float32).mean().item<float>(), 0.73, 0.77);
            Assert.InRange(kept[input].eq(kept[(input + 1) % 8]).to(float32).mean().item<float>(), 0.6, 0.65);
        }

        Assert.InRange(all[0].eq(all[1]).to(float32).mean().item<float>(), 0.6, 0.65);
        Assert.InRange(all[0].narrow(0, 0, 1999).eq(all[0].narrow(0, 1, 1999)).to(float32).mean().item<float>(), 0.6, 0.65);
        Assert.False(all[1, 1999].any().item<bool>(), "a pad");
    }

    [Fact]
    public void No_tensor_is_left_over_When_a_pass_a_merge_and_an_unmerge_are_done()
    {
        using var model = new SiteModel();
        using var adapter = Trained(model, new LoraOptions { Dropout = 0.1 });

        LiveTensors.StayConstant(() =>
        {
            adapter.Training = true;
            model.Logits(Ids).Dispose();
            adapter.Training = false;
            adapter.Merge();
            adapter.Unmerge();
        });
    }

    [Fact]
    public void The_layers_are_listed_When_a_pattern_matches_nothing()
    {
        using var model = new SiteModel();

        var error = Assert.Throws<UserErrorException>(() => Attach(model, new LoraOptions { TargetPatterns = ["q_proj", "c_attn"] }));

        Assert.Equal(
            "target-patterns: 'c_attn' matches no linear layer of this tiny model; its layers are model.layers.*.self_attn.q_proj, "
            + "model.layers.*.self_attn.k_proj, model.layers.*.self_attn.v_proj, model.layers.*.self_attn.o_proj, lm_head.",
            error.Message);
    }

    [Theory]
    [InlineData("proj", 0)]
    [InlineData("self_attn.q_proj", 2)]
    [InlineData("model.layers.1.*", 4)]
    [InlineData("*.?_proj", 8)]
    [InlineData("all-linear", 8)]
    [InlineData("lm_head", 1)]
    public void Whole_parts_and_wildcards_choose_layers_When_patterns_differ(string pattern, int layers)
    {
        using var model = new SiteModel();
        if (layers == 0)
        {
            Assert.Throws<UserErrorException>(() => TargetPattern.Choose(model, [pattern]));
            return;
        }

        Assert.Equal(layers, TargetPattern.Choose(model, [pattern]).Count);
    }

    [Fact]
    public void A_tied_head_is_refused_When_it_is_a_target()
    {
        using var model = new SiteModel(tiedHead: true);

        var error = Assert.Throws<UserErrorException>(() => Attach(model, new LoraOptions { TargetPatterns = ["lm_head"] }));

        Assert.Contains("shares its weight with the token embedding", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_second_adapter_is_refused_and_a_disposed_one_leaves_the_base_When_attached_again()
    {
        using var model = new SiteModel();
        using var before = model.Logits(Ids);
        var adapter = Trained(model, new LoraOptions());
        Assert.Throws<UserErrorException>(() => Attach(model, new LoraOptions()));
        adapter.Merge();

        adapter.Dispose();

        using var after = model.Logits(Ids);
        Assert.Equal(Floats(before), Floats(after));
        Attach(model, new LoraOptions()).Dispose();
    }

    [Fact]
    public void Training_is_refused_When_merged()
    {
        using var model = new SiteModel();
        using var adapter = Trained(model, new LoraOptions());
        adapter.Merge();

        Assert.Throws<InvalidOperationException>(() => adapter.Training = true);
    }

    private static float[] GradientOf(ICausalModel model, IAttachedAdapter adapter, int tokens, int[] order)
    {
        using var scope = NewDisposeScope();
        long[][] rows = [SmallModel.Ids(1, 5), SmallModel.Ids(2, 9), SmallModel.Ids(3, 2), SmallModel.Ids(4, 9), SmallModel.Ids(5, 7)];
        var experience = new Experience(
            Ragged.FromRows(order.Select(row => rows[row].Select(id => (int)id).ToArray())),
            Ragged.FromRows(order.Select(row => rows[row].Select((_, t) => t > 0).ToArray())),
            new Dictionary<string, Ragged<float>>());
        foreach (var slot in adapter.Parameters)
            slot.Value.grad = null;
        var window = MicroBatches.Build(experience, new MicroBatchCut { Tokens = tokens }, CPU);
        foreach (var batch in window)
            TokenCrossEntropy.Instance.Evaluate(model.LanguageHead.Forward(SequenceScoring.HiddenAtHead(model, batch)), batch, MicroBatches.Totals(window)).Loss.backward();
        return [.. adapter.Parameters.SelectMany(slot => Floats(slot.Value.grad!))];
    }

    internal static IAttachedAdapter Attach(ICausalModel model, LoraOptions options) =>
        new LoraAdapter(options).Attach(model, new TestNode(seed: 7));

    /// <summary>An adapter whose B is no longer 0.</summary>
    internal static IAttachedAdapter Trained(ICausalModel model, LoraOptions options)
    {
        var adapter = Attach(model, options);
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var phase = 0.3;
        foreach (var slot in adapter.Parameters.Where(slot => slot.Name.EndsWith("lora_B.weight", StringComparison.Ordinal)))
            slot.Value.copy_((arange(slot.Value.numel(), float32) * 1.3 + phase++).sin().mul(0.2).reshape(slot.Value.shape));
        return adapter;
    }

    internal static float[] Floats(Tensor values)
    {
        using var scope = NewDisposeScope();
        return values.detach().to(float32).contiguous().data<float>().ToArray();
    }

    internal static void AssertClose(float[] expected, float[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
            Assert.InRange(actual[i], expected[i] - tolerance, expected[i] + tolerance);
    }
}
