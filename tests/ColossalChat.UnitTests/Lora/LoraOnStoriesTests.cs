using ColossalChat.Contracts.Torch;
using ColossalChat.Lora;
using ColossalChat.UnitTests.Models;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Lora;

/// <summary>LoRA of rank 8 on a real trained LLaMA.</summary>
[Trait("Category", "CI")]
public sealed class LoraOnStoriesTests
{
    [DataFact]
    public void Merged_equals_adapter_on_and_the_unmerged_base_is_bit_equal()
    {
        using var model = Stories.Load();
        var ids = Stories.Cases()[0].Prompt.Select(id => (long)id).ToArray();
        var weights = Slots(model).ToDictionary(slot => slot.Name, slot => LoraTests.Floats(slot.Value));
        using var adapter = LoraTests.Trained(model, new LoraOptions { Rank = 8, Alpha = 16 });
        var on = LogProbs(model, ids);

        adapter.Merge();
        var merged = LogProbs(model, ids);
        adapter.Unmerge();

        Assert.Equal(on.Length, merged.Length);
        // 1e-5 of the value: log-probabilities reach -25 here, where one step of a float is already 2e-6.
        Assert.All(on.Zip(merged), pair => Assert.InRange((pair.Second - pair.First) / Math.Max(1, Math.Abs(pair.First)), -1e-5, 1e-5));
        Assert.All(Slots(model), slot => Assert.Equal(weights[slot.Name], LoraTests.Floats(slot.Value)));
        adapter.Enabled = false;
        var off = LogProbs(model, ids);
        Assert.True(on.Zip(off).Max(pair => Math.Abs(pair.First - pair.Second)) > 1e-2, "The adapter changes the model, or the test shows nothing.");
    }

    private static float[] LogProbs(ICausalModel model, long[] ids)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var hidden = model.Embed(tensor(ids).unsqueeze(0));
        foreach (var block in model.Blocks)
            hidden = block.Forward(hidden, new SequenceLayout([ids.Length], ids.Length));
        return LoraTests.Floats(model.LanguageHead.Forward(hidden.squeeze(0)).log_softmax(-1));
    }

    private static IEnumerable<ParameterSlot> Slots(ICausalModel model) =>
        model.Embedding.Parameters.Concat(model.Blocks.SelectMany(block => block.Parameters)).Concat(model.LanguageHead.Parameters).Distinct();
}
