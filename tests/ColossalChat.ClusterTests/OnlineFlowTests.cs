using ColossalChat.Contracts;
using Xunit;

namespace ColossalChat.Cluster.Tests;

[Trait("Category", "CI")]
public sealed class OnlineFlowTests
{
    [Fact]
    public async Task A_run_ends_Ok_with_reports_exports_and_a_checkpoint()
    {
        await using var run = new RunHarness();

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal((ExitCode.Ok, 4L), (end.ExitCode, end.LastIteration));
        Assert.Equal((1L, 4L), run.StartedAt);
        Assert.Equal([1L, 2, 3, 4], run.Reports.Select(report => report.Iteration));
        Assert.EndsWith("step-00000004", end.Checkpoint, StringComparison.Ordinal);
        Assert.Equal(["critic", "policy"], end.ModelFolders.Keys.Order());
        Assert.All(end.ModelFolders.Values, folder => Assert.True(Directory.Exists(folder)));
        Assert.All(run.World.Alive, role => Assert.True(role.Value == 0 || role.Key == "prompts", $"{role.Key} is alive"));
    }

    [Fact]
    public async Task A_batch_passes_prompts_rollout_scorers_experience_and_trainers_in_this_order()
    {
        await using var run = new RunHarness { Plan = RunHarness.OnlinePlan with { Iterations = 2, PromptsPerIteration = 2 } };

        await run.RunAsync();

        var calls = run.World.Calls.Select(call => $"{call.Role} {call.What}").ToList();
        string[] order =
        [
            "prompts begin 2", "trainers.policy publish 1", "rollout load policy 1", "prompts take 1.0", "rollout generate 1.0", "reward score 1.0",
            "experience build 1.0", "trainers.policy begin 1/2", "trainers.policy compute 0", "trainers.policy finish 0 apply",
            "trainers.policy compute 1", "trainers.policy finish 1 apply", "trainers.policy end", "trainers.policy publish 2",
            "rollout load policy 2", "prompts take 2.0", "rollout generate 2.0",
        ];
        var at = -1;
        foreach (var call in order)
        {
            var next = calls.IndexOf(call, at + 1);
            Assert.True(next > at, $"'{call}' did not come after '{(at < 0 ? "" : calls[at])}'");
            at = next;
        }
    }

    [Fact]
    public async Task The_experience_role_sees_whole_windows_ordered_by_shard_with_every_score()
    {
        await using var run = new RunHarness();

        await run.RunAsync();

        Assert.Equal(4, run.World.Windows.Count);
        foreach (var window in run.World.Windows)
        {
            Assert.Equal([0, 1, 2], window.Select(part => part.Rollout.Batch.Shard));
            Assert.All(window, part => Assert.Equal(3, part.Scores.Count));
            Assert.Equal([0L, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], window.SelectMany(part => part.Rollout.Prompts.PromptIds));
        }
    }

    [Fact]
    public async Task Failed_and_not_applicable_rows_reach_the_experience_role_as_they_are()
    {
        await using var run = new RunHarness();

        await run.RunAsync();

        var rewards = run.World.Windows.First()[0].Scores[ScoreKind.Rewards];
        Assert.Equal([ScoreOutcome.Value, ScoreOutcome.NotApplicable, ScoreOutcome.Failed, ScoreOutcome.Value], rewards.Outcomes);
        Assert.Equal("odd row", rewards.Reasons[2]);
    }

    [Fact]
    public async Task Tokens_carry_the_version_of_the_weights_that_wrote_them()
    {
        await using var run = new RunHarness();

        await run.RunAsync();

        Assert.Equal([1L, 2, 3, 4], run.World.Windows.Select(window =>
            window.SelectMany(part => part.Rollout.WeightVersions.Values.ToArray()).Distinct().Single()));
    }

    [Fact]
    public async Task Batches_between_prompts_and_experience_never_exceed_the_credits()
    {
        var (open, most, gate) = (0, 0, new Lock());
        var world = new FakeWorld();
        world.Before = (role, what, _) =>
        {
            lock (gate)
            {
                if (role == "rollout" && what.StartsWith("generate", StringComparison.Ordinal))
                    most = Math.Max(most, ++open);
                // A batch holds its credit at least until here, so this counts no more than there are credits.
                if (role == "reward" && what.StartsWith("score", StringComparison.Ordinal))
                    open--;
            }

            if (role == "reward")
                Thread.SpinWait(20_000);
        };

        // Without turns on the device nothing but credits holds the rollout role back.
        await using var run = new RunHarness(world)
        {
            Plan = RunHarness.OnlinePlan with { PromptsPerIteration = 40, RowsPerBatch = 2 },
            Devices = new UnlimitedDevices(),
        };

        await run.RunAsync();

        Assert.InRange(most, 1, 2);
        Assert.Equal(160, world.CallsOf("rollout").Count(call => call.StartsWith("generate", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Roles_run_on_the_dedicated_dispatcher_only_and_hold_the_device_one_at_a_time()
    {
        var inside = 0;
        var together = 0;
        var world = new FakeWorld();
        world.Before = (_, _, _) =>
        {
            together = Math.Max(together, Interlocked.Increment(ref inside));
            Thread.SpinWait(2000);
            Interlocked.Decrement(ref inside);
        };
        await using var run = new RunHarness(world);

        await run.RunAsync();

        Assert.Equal(1, together);
        Assert.All(world.Calls, call => Assert.Contains("native-dispatcher", call.Thread, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(-1, "")]
    [InlineData(0, "5")]
    [InlineData(2, "0 2 4 5")]
    public async Task Measurements_come_before_training_on_schedule_and_at_the_end(long every, string expected)
    {
        await using var run = new RunHarness { Plan = RunHarness.OnlinePlan with { Iterations = 5, EvaluateEvery = every } };

        await run.RunAsync();

        var measured = run.Reports.Where(report => report.Purpose == BatchPurpose.Evaluate).ToArray();
        Assert.Equal(expected, string.Join(" ", measured.Select(report => report.Iteration)));
        Assert.All(measured, report => Assert.Contains("eval/reward", report.Metrics.Keys));
    }

    [Fact]
    public async Task Measuring_changes_no_weights()
    {
        await using var with = new RunHarness { Plan = RunHarness.OnlinePlan with { EvaluateEvery = 1 } };
        await using var without = new RunHarness();

        await with.RunAsync();
        await without.RunAsync();

        Assert.Equal(without.World.Digest(), with.World.Digest());
    }

    [Fact]
    public async Task Nothing_is_measured_When_there_are_no_held_out_prompts()
    {
        await using var run = new RunHarness(new FakeWorld { HeldOut = 0 }) { Plan = RunHarness.OnlinePlan with { EvaluateEvery = 1 } };

        Assert.Equal(ExitCode.Ok, (await run.RunAsync()).ExitCode);
        Assert.DoesNotContain(run.Reports, report => report.Purpose == BatchPurpose.Evaluate);
    }

    [Fact]
    public async Task All_groups_skip_a_step_When_one_overflows()
    {
        var world = new FakeWorld { IsFinite = (model, iteration, step) => !(model == "critic" && iteration == 2 && step == 1) };
        await using var run = new RunHarness(world);

        await run.RunAsync();

        foreach (var trainer in new[] { "trainers.policy", "trainers.critic" })
            Assert.Equal(1, world.CallsOf(trainer).Count(call => call == "finish 1 skip"));
        Assert.Equal([0d, 1, 0, 0], run.Reports.Select(report => report.Metrics["train/overflow_steps"]));
        Assert.Contains(run.Notes, note => note.Kind == "overflow" && note.Message.Contains("critic", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Groups_with_fewer_steps_sit_out_the_rest()
    {
        var world = new FakeWorld { StepsOf = model => model == "policy" ? 3 : 0 };
        await using var run = new RunHarness(world);

        var end = await run.RunAsync();

        Assert.Equal(ExitCode.Ok, end.ExitCode);
        Assert.Equal(12, world.CallsOf("trainers.policy").Count(call => call.EndsWith("apply", StringComparison.Ordinal)));
        Assert.DoesNotContain(world.CallsOf("trainers.critic"), call => call.StartsWith("compute", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Reports_carry_timings_and_speed()
    {
        await using var run = new RunHarness();

        await run.RunAsync();

        string[] names =
        [
            "timing/generate_s", "timing/reward_s", "timing/ref_s", "timing/value_s", "timing/experience_s", "timing/learn_s",
            "perf/step_s", "perf/samples_per_s", "perf/tokens_per_s", "gen/tokens_per_s", "train/samples", "train/tokens", "reward/mean", "policy/weight", "critic/weight",
        ];
        Assert.All(run.Reports, report => Assert.Subset(report.Metrics.Keys.ToHashSet(), names.ToHashSet()));
        Assert.All(run.Reports, report => Assert.Single(report.Samples));
    }

    [Fact]
    public async Task Five_hundred_iterations_leave_no_dead_letters()
    {
        await using var run = new RunHarness { Plan = RunHarness.OnlinePlan with { Iterations = 500 }, CheckpointEvery = 100 };

        var end = await run.RunAsync();

        Assert.Equal((ExitCode.Ok, 500L), (end.ExitCode, end.LastIteration));
        Assert.Empty(run.DeadLetters);
    }

    [Fact]
    public async Task A_missing_role_is_named()
    {
        await using var run = new RunHarness();
        run.Roles = run.World.OnlineRoles("policy") with { Rollout = null };

        var error = await Assert.ThrowsAsync<UserErrorException>(() => run.RunAsync());

        Assert.Contains("rollout, trainers.critic", error.Message, StringComparison.Ordinal);
    }

    internal sealed class UnlimitedDevices : IDeviceLeases, IDisposable
    {
        public IDisposable Take(string device, CancellationToken cancel) => this;

        public void Dispose()
        {
        }
    }
}
