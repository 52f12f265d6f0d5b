using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Numerics;
using ColossalChat.PluginKit;
using ColossalChat.Rlhf;
using ColossalChat.UnitTests.Rlhf.Support;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Rlhf;

[Trait("Category", "CI")]
public sealed class TrainerRoleTests
{
    private static readonly int[][] s_rows = [[1, 2, 3, 4], [5, 6, 7], [8, 9, 10, 1, 2], [3, 1]];

    [Fact]
    public void Sft_learns_its_sequences_and_reports_loss_accuracy_and_perplexity()
    {
        using var store = new TinyStore().Add("policy", new TinyModel());
        using var trainer = new SftTrainer(new SftTrainerOptions { LearningRate = .05 }, TinyNode.Over(store));
        var first = trainer.Evaluate([Sequences()], default);
        IReadOnlyDictionary<string, double> metrics = first;
        for (var i = 1; i <= 150; i++)
            metrics = TinyNode.Train(trainer, Sequences(), i, 150);
        Assert.True(metrics["train/loss"] < .2 * first["eval/loss"], $"{first["eval/loss"]} to {metrics["train/loss"]}");
        Assert.Equal(1, metrics["train/token_accuracy"]);
        Assert.Equal(Math.Exp(first["eval/loss"]), first["eval/ppl"], 1e-9);
        Assert.Equal(150, metrics["train/step"]);
        Assert.Contains("train/entropy", metrics.Keys);
        Assert.Contains("train/grad_norm", metrics.Keys);
        Assert.Equal(.05 * .1, metrics["train/lr"], 1e-6);
    }

    [Fact]
    public void Experience_without_targets_makes_no_step()
    {
        using var store = new TinyStore().Add("policy", new TinyModel());
        using var trainer = new SftTrainer(new SftTrainerOptions(), TinyNode.Over(store));
        var silent = Sequences() with { IsTarget = Ragged.FromRows(s_rows.Select(row => new bool[row.Length])) };
        Assert.Equal(0, trainer.Begin(new TrainRequest(1, 1, silent)));
    }

    [Theory]
    [InlineData("log-sigmoid")]
    [InlineData("log-exp")]
    public void The_reward_trainer_learns_to_tell_pairs_apart(string loss)
    {
        using var store = new TinyStore().Add("reward", new TinyModel(), hasValueHead: true);
        var options = new RewardTrainerOptions { LearningRate = .03, PreferenceLoss = new(loss) };
        using var trainer = new RewardTrainer(options, TinyNode.Over(store));
        var first = TinyNode.Train(trainer, Sequences());
        for (var i = 0; i < 60; i++)
            TinyNode.Train(trainer, Sequences());
        var metrics = trainer.Evaluate([Sequences().Pick([0, 1]), Sequences().Pick([2, 3])], default);
        Assert.Equal(1, metrics["eval/acc"]);
        Assert.True(metrics["eval/loss"] < .1 * first["train/loss"]);
        Assert.Equal(metrics["eval/reward_chosen"] - metrics["eval/reward_rejected"], metrics["eval/margin"], 1e-4);
        Assert.True(metrics["eval/reward_std"] > 0 && metrics["eval/reward_min"] < metrics["eval/reward_max"]);
        Assert.InRange(metrics["eval/length_corr"], -1, 1);
        Assert.DoesNotContain(metrics.Keys, name => name.Contains("square", StringComparison.Ordinal) || name.Contains("negative", StringComparison.Ordinal));
    }

    [Fact]
    public void A_tie_is_a_miss()
    {
        using var store = new TinyStore().Add("reward", new TinyModel(), hasValueHead: true);
        using var trainer = new RewardTrainer(new RewardTrainerOptions(), TinyNode.Over(store));
        Assert.Equal(0, trainer.Evaluate([Sequences().Pick([1, 1])], default)["eval/acc"]);
    }

    [Fact] // PPO-4 through role, trainer and engine, at a temperature that is not 1.
    public void The_first_update_of_an_iteration_sees_ratio_one_everywhere()
    {
        using var store = PolicyAndCritic();
        var node = TinyNode.Over(store);
        using var policy = new PpoPolicyTrainer(new PpoPolicyOptions { Epochs = 1, MiniBatches = 1 }, node);
        var metrics = TinyNode.Train(policy, Experience(store, node, .6));
        Assert.Equal(0, metrics["policy/clip_frac"]);
        Assert.Equal(0, metrics["policy/approx_kl"], 1e-6);
        Assert.Equal(1, metrics["policy/ratio_max"], 1e-4);
        Assert.Equal(0, metrics["policy/loss"], 1e-5); // Whitened advantages have mean 0.
        Assert.Contains("policy/entropy", metrics.Keys);
        Assert.Contains("policy/grad_norm", metrics.Keys);
        Assert.Equal(metrics["policy/grad_norm"], metrics["train/grad_norm_actor"]);
        Assert.Equal(1e-5, metrics["train/lr_actor"], 1e-9);
        Assert.Equal(1, metrics["train/step"]);
        Assert.InRange(metrics["policy/ratio_var"], 0, 1e-6);
        using var critic = new PpoCriticTrainer(new PpoCriticOptions { Epochs = 1, MiniBatches = 1 }, node);
        var values = TinyNode.Train(critic, Experience(store, node, .6));
        Assert.Equal(1e-4, values["train/lr_critic"], 1e-9);
        Assert.True(values["train/grad_norm_critic"] > 0 && metrics["perf/tflops"] > 0 && values["perf/tflops_critic"] > 0);
        Assert.Empty(metrics.Keys.Intersect(values.Keys));
    }

    [Fact]
    public void Speed_counts_real_tokens_and_is_told_once()
    {
        using var store = new TinyStore().Add("policy", new TinyModel());
        using var trainer = new SftTrainer(new SftTrainerOptions(), TinyNode.Over(store));
        Assert.True(TinyNode.Train(trainer, Sequences())["perf/tflops"] > 0);

        Assert.DoesNotContain("perf/tflops", TinyNode.Train(trainer, Sequences().Pick([])).Keys);
    }

    [Fact]
    public void Policy_and_critic_make_the_same_number_of_steps_over_all_rows()
    {
        using var store = PolicyAndCritic();
        var node = TinyNode.Over(store);
        using var policy = new PpoPolicyTrainer(new PpoPolicyOptions { Epochs = 3, MiniBatches = 4 }, node);
        using var critic = new PpoCriticTrainer(new PpoCriticOptions { Epochs = 3, MiniBatches = 4 }, node);
        var experience = Experience(store, node, 1);
        var request = new TrainRequest(1, 1, experience);
        Assert.Equal(12, policy.Begin(request));
        Assert.Equal(12, critic.Begin(request));
        Assert.Equal(2 * 3, policy.Begin(new TrainRequest(1, 1, experience.Pick([0, 1]))));
        Assert.Equal(0, policy.Begin(new TrainRequest(1, 1, experience.Pick([]))));

        // A rank with fewer rows than another makes as many steps as that one, some of them without rows.
        Assert.Equal(12, policy.Begin(request with { Experience = experience.Pick([0]) }));
        for (var step = 0; step < 12; step++)
        {
            Assert.True(policy.Compute(step, CancellationToken.None));
            policy.Finish(step, apply: true);
        }
    }

    [Fact]
    public void Every_pass_goes_through_all_rows_once_in_an_order_of_its_own()
    {
        using var store = PolicyAndCritic();
        var node = TinyNode.Over(store);
        var recording = new RecordingLoss();
        node.With<IPolicyLoss>("recording", recording);
        using var policy = new PpoPolicyTrainer(new PpoPolicyOptions { Epochs = 2, MiniBatches = 4, PolicyLoss = new("recording") }, node);
        var experience = Experience(store, node, 1);
        TinyNode.Train(policy, experience, 1);
        TinyNode.Train(policy, experience, 2);
        var rows = recording.Seen.Count / 4;
        var passes = recording.Seen.Chunk(rows).ToArray();
        Assert.Equal(experience.Rows, rows);
        Assert.All(passes, pass => Assert.Equal(passes[0].Order(), pass.Order()));
        Assert.Equal(4, passes.Select(pass => string.Join(" ", pass)).Distinct().Count());
    }

    [Fact]
    public void A_falling_rate_reaches_its_end_When_there_are_fewer_rows_than_mini_batches()
    {
        using var store = PolicyAndCritic();
        var node = TinyNode.Over(store);
        var schedule = new ScheduleOptions { Shape = ScheduleShape.Cosine, MinRatio = .1 };
        using var policy = new PpoPolicyTrainer(new PpoPolicyOptions { LearningRate = .01, Epochs = 1, MiniBatches = 4, Schedule = schedule }, node);
        var experience = Experience(store, node, 1).Pick([0]);
        var rates = Enumerable.Range(1, 10).Select(iteration => TinyNode.Train(policy, experience, iteration, 10)["train/lr_actor"]).ToArray();
        Assert.Equal(.01 * .1, rates[^1], 1e-9);
        Assert.Equal(rates.OrderDescending(), rates);
        Assert.True(rates[4] > .4 * .01, "half the way is half the fall");
    }

    [Fact] // Property 6: iteration by iteration, a restored trainer goes on bit for bit, extra losses included.
    public void Restored_trainers_continue_bit_for_bit()
    {
        using var store = PolicyAndCritic();
        using var other = PolicyAndCritic(seed: 42);
        var (node, second) = (TinyNode.Over(store), TinyNode.Over(other));
        var experience = Experience(store, node, 1);
        var options = new PpoPolicyOptions { LearningRate = .01, ExtraLosses = [new("counting")] };
        node.With<IExtraLoss>("counting", new CountingLoss());
        second.With<IExtraLoss>("counting", new CountingLoss());
        using var policy = new PpoPolicyTrainer(options, node);
        using var critic = new PpoCriticTrainer(new PpoCriticOptions { LearningRate = .01 }, node);
        using var policyAgain = new PpoPolicyTrainer(options, second);
        using var criticAgain = new PpoCriticTrainer(new PpoCriticOptions { LearningRate = .01 }, second);
        foreach (var (from, to) in new (ITrainerRole, ITrainerRole)[] { (policy, policyAgain), (critic, criticAgain) })
        {
            TinyNode.Train(from, experience, 1);
            var state = new MemoryState();
            from.Capture(state);
            to.Restore(state);
            Assert.Equal(TinyNode.WithoutSpeed(TinyNode.Train(from, experience, 2)), TinyNode.WithoutSpeed(TinyNode.Train(to, experience, 2)));
            var (end, again) = (new MemoryState(), new MemoryState());
            from.Capture(end);
            to.Capture(again);
            Assert.Equal(end.Fingerprint(), again.Fingerprint());
            Assert.Equal(from.Publish(1, 3, default), to.Publish(1, 3, default));
        }
    }

    [Fact] // Property 9.
    public void An_extra_loss_is_logged_apart_and_none_leaves_no_trace()
    {
        string Hash(params IExtraLoss[] extras)
        {
            using var store = PolicyAndCritic();
            var node = TinyNode.Over(store);
            foreach (var (extra, i) in extras.Select((extra, i) => (extra, i)))
                node.With($"extra-{i}", extra);
            var options = new PpoPolicyOptions { LearningRate = .01, ExtraLosses = [.. extras.Select((_, i) => new PluginChoice<IExtraLoss>($"extra-{i}"))] };
            using var policy = new PpoPolicyTrainer(options, node);
            var metrics = TinyNode.Train(policy, Experience(store, node, 1));
            if (extras is [CountingLoss { Coefficient: > 0 }])
                Assert.True(metrics["policy/counting_grad_norm"] > 0 && metrics["policy/counting_loss"] > 0 && metrics["policy/grad_norm"] > 0 && metrics["train/grad_norm_actor"] > 0);
            return policy.Publish(1, 1, default).ContentHash;
        }

        var alone = Hash();
        Assert.Equal(alone, Hash(new CountingLoss { Coefficient = 0 }));
        Assert.NotEqual(alone, Hash(new CountingLoss()));
    }

    [Fact]
    public void Skipping_a_step_keeps_weights_and_is_counted()
    {
        using var store = PolicyAndCritic();
        var node = TinyNode.Over(store);
        using var critic = new PpoCriticTrainer(new PpoCriticOptions { Epochs = 1, MiniBatches = 1 }, node);
        var before = critic.Publish(1, 1, default).ContentHash;
        Assert.Equal(1, critic.Begin(new TrainRequest(1, 1, Experience(store, node, 1))));
        Assert.True(critic.Compute(0, default));
        critic.Finish(0, apply: false);
        var metrics = critic.End();
        Assert.Equal(1, metrics["value/overflow_steps"]);
        Assert.Equal(0, metrics["value/step"]);
        Assert.Equal(before, critic.Publish(1, 1, default).ContentHash);
    }

    [Fact]
    public void Missing_columns_are_named()
    {
        using var store = PolicyAndCritic();
        using var critic = new PpoCriticTrainer(new PpoCriticOptions(), TinyNode.Over(store));
        Assert.Contains("old-values", Assert.Throws<UserErrorException>(() => critic.Begin(new TrainRequest(1, 1, Sequences()))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void No_call_leaves_tensors_behind()
    {
        using var store = PolicyAndCritic();
        var node = TinyNode.Over(store);
        node.With<IExtraLoss>("counting", new CountingLoss());
        using var policy = new PpoPolicyTrainer(new PpoPolicyOptions { ExtraLosses = [new("counting")] }, node);
        using var critic = new PpoCriticTrainer(new PpoCriticOptions(), node);
        LiveTensors.StayConstant(() =>
        {
            var experience = Experience(store, node, 1);
            TinyNode.Train(policy, experience);
            TinyNode.Train(critic, experience);
            policy.Publish(1, 1, default);
            policy.Capture(new MemoryState());
        });
    }

    [Fact]
    public void Export_goes_to_the_models_own_folder_format()
    {
        using var store = PolicyAndCritic();
        using (var policy = new PpoPolicyTrainer(new PpoPolicyOptions(), TinyNode.Over(store)))
            policy.Export("somewhere");
        Assert.Equal("somewhere", store["policy"].ExportedTo);
        Assert.Equal(0, store.Loans);
    }

    private static TinyStore PolicyAndCritic(ulong seed = 1) => new TinyStore()
        .Add("policy", new TinyModel(seed: seed))
        .Add("reference", new TinyModel(seed: seed))
        .Add("critic", new TinyModel(seed: seed + 1), hasValueHead: true);

    private static Experience Sequences() => new(
        Ragged.FromRows(s_rows),
        Ragged.FromRows(s_rows.Select(row => row.Select((_, t) => t > 0).ToArray())),
        new Dictionary<string, Ragged<float>>());

    private static Experience Experience(TinyStore store, TestNode node, double temperature)
    {
        var options = new RolloutOptions { MaxNewTokens = 5, Sampling = new SamplingOptions { Temperature = temperature } };
        using var rollouts = new RolloutRole(options, node);
        using var reference = new ReferenceRole(new ReferenceOptions(), node);
        using var critic = new CriticRole(new CriticOptions(), node);
        var rollout = rollouts.Generate(TinyNode.Prompts(new BatchId(1, 0), 8), default);
        var rewards = Scores.Of(ScoreKind.Rewards, Ragged.Scalars<float>(Enumerable.Range(0, 8).Select(i => (float)Math.Sin(i)).ToArray()));
        var scored = new ScoredRollout(rollout, new[] { reference.Score(rollout, default), critic.Score(rollout, default), rewards }.ToDictionary(s => s.Kind));
        return new PpoExperienceRole(new PpoExperienceOptions(), node).Build([scored], 1).PerRank[0];
    }

    /// <summary>The usual loss; notes each row by the sum of its log-probabilities at rollout.</summary>
    private sealed class RecordingLoss : IPolicyLoss
    {
        public List<float> Seen { get; } = [];

        public ObjectiveResult Compute(PolicyLossInput input)
        {
            using (NewDisposeScope())
                Seen.AddRange(TensorData.ToFloats(input.OldLogProbs.sum(1)));
            return new PpoClipLoss(new PpoClipOptions()).Compute(input);
        }
    }

    /// <summary>Cross-entropy on one sequence after another.</summary>
    private sealed class CountingLoss : IExtraLoss, IObjective
    {
        private int _cursor;

        public double Coefficient { get; init; } = .3;

        public string Name => "counting";

        public ObjectivePart? Next(Device device) => new(
            Name, MicroBatches.Build(Sequences().Pick([_cursor++ % s_rows.Length]), new MicroBatchCut(), device), this, Coefficient);

        public ObjectiveResult Evaluate(Tensor output, MicroBatch batch, WindowTotals totals)
        {
            using var scope = NewDisposeScope();
            var scores = TokenLogProbs.Compute(output, batch.Targets);
            return new ObjectiveResult((-scores.LogProbs.sum() / totals.Targets).MoveToOuterDisposeScope(), new Dictionary<string, double>());
        }

        public void Capture(IStateWriter writer) => writer.WriteJson("cursor", _cursor.ToString(System.Globalization.CultureInfo.InvariantCulture));

        public void Restore(IStateReader reader) => _cursor = int.Parse(reader.ReadJson("cursor"), System.Globalization.CultureInfo.InvariantCulture);

        public void Dispose()
        {
            // Nothing is held.
        }
    }
}
