using ColossalChat.Contracts.Torch;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.PluginKit;

/// <summary>What every <see cref="IPreferenceLoss"/> must do. Inherit it and make the loss. P = pairs.</summary>
public abstract class PreferenceLossConformance
{
    private static readonly float[] s_chosen = [0.5f, -0.2f, 1.0f, 0f];
    private static readonly float[] s_rejected = [0.1f, 0.3f, -1.0f, 0f];

    /// <summary>The loss under test, with default options.</summary>
    protected abstract IPreferenceLoss CreateLoss();

    [Fact]
    public void Gradient_raises_the_chosen_and_lowers_the_rejected()
    {
        var (_, chosen, rejected) = Run(s_chosen, s_rejected, 4);
        Assert.All(chosen, value => Assert.True(value < 0, $"gradient at a chosen score is {value}"));
        Assert.All(rejected, value => Assert.True(value > 0, $"gradient at a rejected score is {value}"));
    }

    [Fact]
    public void Loss_falls_When_the_margin_grows()
    {
        var losses = new[] { -2f, -0.5f, 0f, 0.5f, 2f }.Select(margin => Run([margin], [0f], 1).Loss).ToArray();
        for (var i = 1; i < losses.Length; i++)
            Assert.True(losses[i] < losses[i - 1], $"losses by growing margin: {string.Join(", ", losses)}");
    }

    [Fact]
    public void Loss_and_gradients_are_finite_When_margins_are_huge()
    {
        foreach (var margin in new[] { -200f, 200f })
        {
            var (loss, chosen, rejected) = Run([margin], [-margin], 1);
            Assert.True(float.IsFinite(loss), $"margin {2 * margin}: loss is {loss}");
            Assert.All(chosen.Concat(rejected), value => Assert.True(float.IsFinite(value), $"margin {2 * margin}: gradient is {value}"));
        }
    }

    [Fact]
    public void Shares_add_up_to_the_whole_When_a_window_is_cut()
    {
        var whole = Run(s_chosen, s_rejected, 4).Loss;
        Assert.Equal(whole, Run(s_chosen[..1], s_rejected[..1], 4).Loss + Run(s_chosen[1..], s_rejected[1..], 4).Loss, 1e-6f);
    }

    [Fact]
    public void Same_input_gives_the_same_bits() =>
        Assert.Equal(Run(s_chosen, s_rejected, 4).Loss, Run(s_chosen, s_rejected, 4).Loss);

    [Fact]
    public void Inputs_are_alive_and_live_tensors_constant_after_the_call()
    {
        var loss = CreateLoss();
        using var chosen = tensor(s_chosen).requires_grad_();
        using var rejected = tensor(s_rejected).requires_grad_();
        LiveTensors.StayConstant(() => loss.Compute(new PreferenceLossInput(chosen, rejected, 4)).Dispose());
        Assert.False(chosen.IsInvalid || rejected.IsInvalid, "an input was disposed; the caller owns its inputs");
    }

    private (float Loss, float[] Chosen, float[] Rejected) Run(float[] better, float[] worse, long total)
    {
        using var chosen = tensor(better).requires_grad_();
        using var rejected = tensor(worse).requires_grad_();
        using var loss = CreateLoss().Compute(new PreferenceLossInput(chosen, rejected, total));
        Assert.Empty(loss.shape);
        var gradients = autograd.grad([loss], [chosen, rejected]);
        using var first = gradients[0];
        using var second = gradients[1];
        return (loss.item<float>(), first.data<float>().ToArray(), second.data<float>().ToArray());
    }
}
