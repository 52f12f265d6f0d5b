using ColossalChat.Contracts;
using ColossalChat.Rlhf;
using ColossalChat.UnitTests.Rlhf.Support;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Rlhf;

/// <summary>Property 18: problems small enough that the right answer is known.</summary>
[Trait("Category", "CI")]
public sealed class LearningTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public void Ppo_finds_the_best_arm_of_a_bandit(ulong seed)
    {
        var probabilities = Run(seed, 0, 60, 32, token => token == 4 ? 1 : 0, .03);
        Assert.True(probabilities[4] >= .95, string.Join(" ", probabilities));
    }

    [Fact]
    public void The_kl_penalty_leads_to_its_own_optimum()
    {
        const double Beta = .5;
        float Reward(int token) => token % 3 / 2f;
        var reference = Next(new TinyModel());
        var optimum = reference.Select((p, token) => p * Math.Exp(Reward(token) / Beta)).ToArray();
        var total = optimum.Sum();
        var probabilities = Run(1, Beta, 120, 256, Reward, .01);
        var divergence = probabilities.Select((p, token) => p * Math.Log(p * total / optimum[token])).Sum();
        Assert.True(divergence < .01, $"{divergence}: {string.Join(" ", probabilities)}");
    }

    private static double[] Run(ulong seed, double beta, int iterations, int rows, Func<int, float> reward, double rate)
    {
        using var store = new TinyStore()
            .Add("policy", new TinyModel())
            .Add("reference", new TinyModel())
            .Add("critic", new TinyModel(seed: 3), hasValueHead: true);
        var node = TinyNode.Over(store, seed);
        using var rollouts = new RolloutRole(new RolloutOptions { MaxNewTokens = 1 }, node);
        using var reference = new ReferenceRole(new ReferenceOptions(), node);
        using var critic = new CriticRole(new CriticOptions(), node);
        var schedule = new ScheduleOptions { Shape = ColossalChat.Numerics.ScheduleShape.Linear, MinRatio = 0 };
        using var policyTrainer = new PpoPolicyTrainer(new PpoPolicyOptions { LearningRate = rate, MiniBatches = 2, Schedule = schedule }, node);
        using var criticTrainer = new PpoCriticTrainer(new PpoCriticOptions { LearningRate = rate, MiniBatches = 2 }, node);
        var experience = new PpoExperienceRole(new PpoExperienceOptions { KlCoefficient = beta, Whiten = beta == 0 }, node);
        for (var iteration = 1; iteration <= iterations; iteration++)
        {
            var rollout = rollouts.Generate(TinyNode.Prompts(new BatchId(iteration, 0), rows), default);
            var rewards = Scores.Of(ScoreKind.Rewards, Ragged.Scalars<float>(rollout.Tokens.Values.ToArray().Select(reward).ToArray()));
            var scores = new[] { reference.Score(rollout, default), critic.Score(rollout, default), rewards }.ToDictionary(s => s.Kind);
            var window = experience.Build([new ScoredRollout(rollout, scores)], 1).PerRank[0];
            TinyNode.Train(policyTrainer, window, iteration, iterations);
            TinyNode.Train(criticTrainer, window, iteration, iterations);
        }

        return Next((TinyModel)store["policy"].Body);
    }

    private static double[] Next(TinyModel model)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var hidden = model.Embed(tensor(new[] { 1L }, [1, 1]));
        hidden = model.Blocks[0].Forward(hidden, new ColossalChat.Contracts.Torch.SequenceLayout([1], 1));
        return [.. model.LanguageHead.Forward(hidden[0]).to(float64).softmax(-1)[0].data<double>()];
    }
}
