using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models;
using ColossalChat.PluginKit;
using ColossalChat.Rlhf;
using ColossalChat.UnitTests.Rlhf.Support;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Rlhf.WholeRoad;

/// <summary>The trainer roles on a real family instead of the tests' own model.</summary>
[Trait("Category", "CI")]
public sealed class LlamaTrainingTests
{
    private const string Config =
        """
        {
          "model_type": "llama", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4,
          "num_key_value_heads": 2, "intermediate_size": 32, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
          "rope_theta": 10000.0, "tie_word_embeddings": true, "hidden_act": "silu"
        }
        """;

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void Sft_learns_and_resumes_bit_for_bit(ScalarType precision)
    {
        var (store, node) = Node(precision, 1);
        var (other, again) = Node(precision, 2);
        using (store)
        using (other)
        {
            var options = new SftTrainerOptions { LearningRate = .01 };
            using var trainer = new SftTrainer(options, node);
            using var resumed = new SftTrainer(options, again);
            var before = trainer.Evaluate([Sequences()], default)["eval/loss"];
            for (var i = 1; i <= 20; i++)
                TinyNode.Train(trainer, Sequences(), i, 40);
            var state = new MemoryState();
            trainer.Capture(state);
            resumed.Restore(state);
            for (var i = 21; i <= 40; i++)
                Assert.Equal(TinyNode.WithoutSpeed(TinyNode.Train(trainer, Sequences(), i, 40)), TinyNode.WithoutSpeed(TinyNode.Train(resumed, Sequences(), i, 40)));
            Assert.Equal(trainer.Publish(1, 1, default), resumed.Publish(1, 1, default));
            Assert.True(trainer.Evaluate([Sequences()], default)["eval/loss"] < .5 * before);
        }
    }

    [Fact]
    public void Reward_model_and_critic_train_on_it()
    {
        var (store, node) = Node(ScalarType.Float32, 1);
        using (store)
        {
            using var reward = new RewardTrainer(new RewardTrainerOptions { LearningRate = .01 }, node);
            for (var i = 1; i <= 40; i++)
                TinyNode.Train(reward, Sequences(), i, 40);
            Assert.Equal(1, reward.Evaluate([Sequences()], default)["eval/acc"]);
        }
    }

    [Fact]
    public void Training_leaves_no_tensor_behind()
    {
        var (store, node) = Node(ScalarType.Float32, 1);
        using (store)
        {
            using var trainer = new SftTrainer(new SftTrainerOptions(), node);
            LiveTensors.StayConstant(() => TinyNode.Train(trainer, Sequences()));
        }
    }

    private static (TinyStore Store, TestNode Node) Node(ScalarType precision, ulong seed)
    {
        var models = new TestNode().With(new ModelsPlugin());
        var family = models.Resolve<IModelFamily>("llama");
        ICausalModel Make(int sample) => family.Create(Config, precision, CPU, new RandomKey(seed, RandomPurpose.Initialisation, Sample: sample));
        var store = new TinyStore().Add("policy", Make(0)).Add("reward", Make(1), hasValueHead: true);
        return (store, TinyNode.Over(store));
    }

    private static Experience Sequences()
    {
        var key = new RandomKey(8, RandomPurpose.Data);
        var rows = Enumerable.Range(0, 8)
            .Select(row => Enumerable.Range(0, 4 + (row * 3 % 7)).Select(t => (int)(key with { Prompt = row }).Bits(t) & 31).ToArray())
            .ToArray();
        return new Experience(
            Ragged.FromRows(rows),
            Ragged.FromRows(rows.Select(row => row.Select((_, t) => t > 1).ToArray())),
            new Dictionary<string, Ragged<float>>());
    }
}
