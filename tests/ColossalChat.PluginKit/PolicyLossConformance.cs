using ColossalChat.Contracts.Torch;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.PluginKit;

/// <summary>What every <see cref="IPolicyLoss"/> must do. Inherit it and make the loss. B = sequences, T = longest response.</summary>
public abstract class PolicyLossConformance
{
    // Two rows hold pads; advantages are constant in a row, so losses on whole sequences pass too.
    private static readonly int[] s_lengths = [5, 2, 3];
    private static readonly float[] s_advantages = [1.5f, -0.75f, 0.5f];
    private const int Longest = 5;

    /// <summary>The loss under test, with default options.</summary>
    protected abstract IPolicyLoss CreateLoss();

    [Fact]
    public void Padding_changes_nothing_When_it_holds_nan_or_infinity()
    {
        var loss = CreateLoss();
        using var clean = new Case(pad: 0);
        using var dirty = new Case(pad: float.NaN);
        using var infinite = new Case(pad: float.PositiveInfinity);
        var expected = clean.Run(loss);
        foreach (var other in new[] { dirty, infinite })
        {
            var actual = other.Run(loss);
            Assert.Equal(expected.Loss, actual.Loss);
            Assert.Equal(expected.Gradient, actual.Gradient);
            Assert.Equal(expected.Metrics, actual.Metrics);
        }
    }

    [Fact]
    public void Gradient_at_padding_is_zero()
    {
        using var batch = new Case(pad: float.NaN);
        var gradient = batch.Run(CreateLoss()).Gradient;
        for (var row = 0; row < s_lengths.Length; row++)
            Assert.All(gradient[((row * Longest) + s_lengths[row])..((row + 1) * Longest)], value => Assert.Equal(0f, value));
    }

    [Fact]
    public void Gradient_raises_what_was_better_than_expected_When_on_policy()
    {
        using var batch = new Case(pad: 0, spread: 0);
        var gradient = batch.Run(CreateLoss()).Gradient;
        for (var row = 0; row < s_lengths.Length; row++)
            for (var t = 0; t < s_lengths[row]; t++)
                Assert.True(
                    gradient[(row * Longest) + t] * s_advantages[row] < 0,
                    $"row {row}, token {t}: advantage {s_advantages[row]}, gradient {gradient[(row * Longest) + t]}; descending must raise what has a positive advantage.");
    }

    [Fact]
    public void Loss_and_gradients_are_finite_When_ratios_are_far_from_one()
    {
        using var batch = new Case(pad: 0, spread: 15);
        var result = batch.Run(CreateLoss());
        Assert.True(float.IsFinite(result.Loss), $"loss is {result.Loss}");
        Assert.All(result.Gradient, value => Assert.True(float.IsFinite(value)));
        Assert.All(result.Metrics, metric => Assert.True(double.IsFinite(metric.Value), $"{metric.Key} is {metric.Value}"));
    }

    [Fact]
    public void Shares_add_up_to_the_whole_When_a_window_is_cut()
    {
        var loss = CreateLoss();
        using var whole = new Case(pad: 0);
        var expected = whole.Run(loss);
        var parts = Enumerable.Range(0, s_lengths.Length).Select(row =>
        {
            using var part = new Case(pad: 0, row: row);
            return part.Run(loss);
        }).ToArray();
        Assert.Equal(expected.Loss, parts.Sum(part => part.Loss), 1e-5f);
        foreach (var (name, value) in expected.Metrics)
            Assert.Equal(value, parts.Sum(part => part.Metrics[name]), 1e-5);
    }

    [Fact]
    public void Same_input_gives_the_same_bits()
    {
        var loss = CreateLoss();
        using var batch = new Case(pad: 0);
        var (first, second) = (batch.Run(loss), batch.Run(loss));
        Assert.Equal(first.Loss, second.Loss);
        Assert.Equal(first.Gradient, second.Gradient);
    }

    [Fact]
    public void Inputs_are_alive_after_the_call()
    {
        using var batch = new Case(pad: 0);
        batch.Run(CreateLoss());
        Assert.All(batch.Tensors, tensor => Assert.False(tensor.IsInvalid, "an input was disposed; the caller owns its inputs"));
    }

    [Fact]
    public void Live_tensors_stay_constant()
    {
        var loss = CreateLoss();
        using var batch = new Case(pad: 0);
        LiveTensors.StayConstant(() => loss.Compute(batch.Input).Loss.Dispose());
    }

    private sealed record Outcome(float Loss, float[] Gradient, IReadOnlyDictionary<string, double> Metrics);

    // spread: how far new log-probabilities lie from the old ones, nats. row: one row alone, with the whole's totals.
    private sealed class Case : IDisposable
    {
        public Case(float pad, float spread = 0.3f, int? row = null)
        {
            var rows = row is { } one ? [one] : Enumerable.Range(0, s_lengths.Length).ToArray();
            var isResponse = Values(rows, (r, t) => t < s_lengths[r] ? 1f : 0f, 0);
            Tensors =
            [
                Values(rows, (r, t) => -1 - (0.1f * t) + (spread * MathF.Sin(1 + (7 * r) + t)), pad).requires_grad_(),
                Values(rows, (_, t) => -1 - (0.1f * t), pad),
                Values(rows, (r, _) => s_advantages[r], pad),
                Values(rows, (_, _) => 1, pad),
                isResponse.to(ScalarType.Bool),
            ];
            isResponse.Dispose();
            Input = new PolicyLossInput(
                Tensors[0], Tensors[1], Tensors[2], Tensors[3], Tensors[4], new WindowTotals(s_lengths.Sum(), s_lengths.Length));
        }

        public PolicyLossInput Input { get; }

        public IReadOnlyList<Tensor> Tensors { get; }

        public Outcome Run(IPolicyLoss loss)
        {
            var result = loss.Compute(Input);
            using var value = result.Loss;
            Assert.Empty(value.shape);
            Assert.Equal(ScalarType.Float32, value.dtype);
            using var gradient = autograd.grad([value], [Input.NewLogProbs])[0];
            return new Outcome(value.item<float>(), gradient.data<float>().ToArray(), result.Metrics);
        }

        public void Dispose()
        {
            foreach (var tensor in Tensors)
                tensor.Dispose();
        }

        private static Tensor Values(int[] rows, Func<int, int, float> at, float pad)
        {
            var values = new float[rows.Length * Longest];
            for (var i = 0; i < rows.Length; i++)
                for (var t = 0; t < Longest; t++)
                    values[(i * Longest) + t] = t < s_lengths[rows[i]] ? at(rows[i], t) : pad;
            return tensor(values, [rows.Length, Longest]);
        }
    }
}
