using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.PluginKit;
using ColossalChat.Rlhf;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Rlhf;

[Trait("Category", "CI")]
public sealed class ValueClipConformanceTests : ValueLossConformance
{
    protected override IValueLoss CreateLoss() => new ValueClipLoss(new ValueClipOptions());
}

[Trait("Category", "CI")]
public sealed class LogSigmoidConformanceTests : PreferenceLossConformance
{
    protected override IPreferenceLoss CreateLoss() => new LogSigmoidLoss();
}

[Trait("Category", "CI")]
public sealed class LogExpConformanceTests : PreferenceLossConformance
{
    protected override IPreferenceLoss CreateLoss() => new LogExpLoss();
}

[Trait("Category", "CI")]
public sealed class GaeConformanceTests : AdvantageEstimatorConformance
{
    protected override IAdvantageEstimator CreateEstimator() => new GaeEstimator(new GaeOptions());
}

[Trait("Category", "CI")]
public sealed class RlhfPluginTests : PluginConformance
{
    protected override IPlugin CreatePlugin() => new RlhfPlugin();
}

[Trait("Category", "CI")]
public sealed class OtherLossTests
{
    [Theory] // VC-1, and the same without a clip.
    [InlineData(.2, 1.62, 1)]
    [InlineData(0, .5, 0)]
    public void Clipped_value_loss_has_the_hand_value(double range, double expected, double clipped)
    {
        using var scope = NewDisposeScope();
        var result = new ValueClipLoss(new ValueClipOptions { ClipRange = range }).Compute(
            new ValueLossInput(tensor(new[] { 2f }), tensor(new[] { 1f }), tensor(new[] { 3f }), new WindowTotals(1, 1)));
        Assert.Equal(expected, result.Loss.item<float>(), 1e-6);
        Assert.Equal(clipped, result.Metrics["clip_frac"]);
    }

    [Theory] // RM-1, and margins that a plain log(sigmoid) does not survive.
    [InlineData(1.2, .4, .37110067)]
    [InlineData(0, 200, 200)]
    [InlineData(200, 0, 0)]
    public void Both_preference_losses_have_the_hand_value(double chosen, double rejected, double expected)
    {
        foreach (var loss in new IPreferenceLoss[] { new LogSigmoidLoss(), new LogExpLoss() })
        {
            using var scope = NewDisposeScope();
            var input = new PreferenceLossInput(tensor(new[] { (float)chosen }), tensor(new[] { (float)rejected }), 1);
            Assert.Equal(expected, loss.Compute(input).item<float>(), 1e-5);
        }
    }

    [Fact]
    public void Gae_without_a_critic_is_refused_with_the_next_step() => Assert.Contains(
        "roles.experience.advantage",
        Assert.Throws<UserErrorException>(() => new GaeEstimator(new GaeOptions()).Estimate(
            new AdvantageInput(Ragged.FromRows([[1f]]), null, [0]))).Message,
        StringComparison.Ordinal);

    [Fact]
    public void Every_bad_option_is_named()
    {
        Assert.Equal(3, new PpoClipOptions { ClipRange = 1, ClipRangeHigh = -1, DualClip = .5 }.Problems().Count());
        Assert.Single(new ValueClipOptions { ClipRange = double.NaN }.Problems());
        Assert.Equal(2, new GaeOptions { Gamma = 2, Lambda = -1 }.Problems().Count());
        Assert.Equal(6, new PpoExperienceOptions { KlCoefficient = -1, KlTarget = -1, KlHorizon = 0, RewardClamp = -1, MissingEosPenalty = -1, Samples = -1 }.Problems().Count());
        Assert.Equal(4, new PpoPolicyOptions { LearningRate = 0, Epochs = 0, MiniBatches = 0, EntropyCoefficient = -1 }.Problems().Count());
        Assert.Equal(3, new ScheduleOptions { WarmUpShare = 2, WarmUpSteps = -1, MinRatio = 2 }.Problems().Count());
        Assert.Equal(5, new PpoStageOptions { Iterations = 0, PromptsPerIteration = 0, AnswersPerPrompt = 0, RowsPerBatch = 0, EvaluationPrompts = -1 }.Problems().Count());
    }
}
