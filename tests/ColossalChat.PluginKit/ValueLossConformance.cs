using ColossalChat.Contracts.Torch;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.PluginKit;

/// <summary>What every <see cref="IValueLoss"/> must do. Inherit it and make the loss. N = counting tokens.</summary>
public abstract class ValueLossConformance
{
    private static readonly float[] s_old = [0.1f, -0.4f, 0.7f, 0f, 1.2f];
    private static readonly float[] s_returns = [0.6f, -0.9f, 0.1f, 0.3f, 1.1f];

    /// <summary>The loss under test, with default options.</summary>
    protected abstract IValueLoss CreateLoss();

    [Fact]
    public void Gradient_points_at_the_return_When_the_value_has_not_moved()
    {
        var (_, gradient) = Run(s_old, s_old, s_returns, s_old.Length);
        for (var i = 0; i < s_old.Length; i++)
            Assert.True(gradient[i] * (s_old[i] - s_returns[i]) > 0, $"value {s_old[i]}, return {s_returns[i]}, gradient {gradient[i]}");
    }

    [Fact]
    public void Loss_and_gradient_are_zero_When_the_value_is_the_return()
    {
        var (loss, gradient) = Run(s_returns, s_returns, s_returns, s_returns.Length);
        Assert.Equal(0f, loss, 1e-7f);
        Assert.All(gradient, value => Assert.Equal(0f, value, 1e-7f));
    }

    [Fact]
    public void Loss_and_gradients_are_finite_When_values_are_large()
    {
        var (loss, gradient) = Run([1e4f, -1e4f], [0f, 0f], [3f, -3f], 2);
        Assert.True(float.IsFinite(loss));
        Assert.All(gradient, value => Assert.True(float.IsFinite(value)));
    }

    [Fact]
    public void Shares_add_up_to_the_whole_When_a_window_is_cut()
    {
        float[] moved = [.. s_old.Select((value, i) => value + (0.4f * MathF.Cos(i)))];
        var (whole, _) = Run(moved, s_old, s_returns, moved.Length);
        var (first, _) = Run(moved[..2], s_old[..2], s_returns[..2], moved.Length);
        var (second, _) = Run(moved[2..], s_old[2..], s_returns[2..], moved.Length);
        Assert.Equal(whole, first + second, 1e-5f);
    }

    [Fact]
    public void Same_input_gives_the_same_bits()
    {
        var (first, second) = (Run(s_old, s_old, s_returns, 5), Run(s_old, s_old, s_returns, 5));
        Assert.Equal(first.Loss, second.Loss);
        Assert.Equal(first.Gradient, second.Gradient);
    }

    [Fact]
    public void Inputs_are_alive_and_live_tensors_constant_after_the_call()
    {
        var loss = CreateLoss();
        using var values = tensor(s_old).requires_grad_();
        using var old = tensor(s_old);
        using var returns = tensor(s_returns);
        var input = new ValueLossInput(values, old, returns, new WindowTotals(5, 2));
        LiveTensors.StayConstant(() => loss.Compute(input).Loss.Dispose());
        Assert.All(new[] { values, old, returns }, input => Assert.False(input.IsInvalid, "an input was disposed; the caller owns its inputs"));
    }

    private (float Loss, float[] Gradient) Run(float[] now, float[] before, float[] targets, int total)
    {
        using var values = tensor(now).requires_grad_();
        using var old = tensor(before);
        using var returns = tensor(targets);
        using var loss = CreateLoss().Compute(new ValueLossInput(values, old, returns, new WindowTotals(total, 2))).Loss;
        Assert.Empty(loss.shape);
        using var gradient = autograd.grad([loss], [values])[0];
        return (loss.item<float>(), gradient.data<float>().ToArray());
    }
}
