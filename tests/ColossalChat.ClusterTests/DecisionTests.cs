using System.Collections.Immutable;
using ColossalChat.Contracts;
using CsCheck;
using Xunit;

namespace ColossalChat.Cluster.Tests;

[Trait("Category", "CI")]
public sealed class DecisionTests
{
    private static readonly TrainerId Policy = new("policy", 0);
    private static readonly TrainerId Critic = new("critic", 0);
    private static readonly ScoreKind[] Kinds = Enum.GetValues<ScoreKind>();

    [Fact]
    public void A_barrier_goes_on_at_once_When_there_is_nothing_to_wait_for()
    {
        var (barrier, events) = (new AnswerBarrier(), new List<string>());

        barrier.Await([], () => events.Add("then"));
        barrier.AwaitAsked([], () => events.Add("then"), () => events.Add("ask"));
        barrier.AwaitAsked(["a"], () => events.Add("then"), () => events.Add("ask"));
        Assert.True(barrier.Awaits("a"));
        Assert.False(barrier.Arrive("b"));
        Assert.True(barrier.Arrive("a"));
        Assert.False(barrier.Arrive("a"));

        Assert.Equal(["then", "ask", "then", "ask", "then"], events);
    }

    [Fact]
    public void Parts_join_in_any_order_of_arrival()
    {
        const int batches = 4;
        var parts = Enumerable.Range(0, batches).SelectMany(shard => Enumerable.Range(-1, Kinds.Length + 1).Select(kind => (shard, kind))).ToArray();
        Gen.Shuffle(parts).Sample(order =>
        {
            var join = WindowJoin.Of(Kinds);
            var whole = 0;
            ImmutableArray<ScoredRollout>? window = null;
            foreach (var (shard, kind) in order)
            {
                Assert.Null(window);
                var step = Add(join, shard, kind, batches);
                Assert.False(step.IsLate);
                (join, window) = (step.State, step.Window);
                whole += step.BatchIsWhole ? 1 : 0;
            }

            Assert.Equal(batches, whole);
            Assert.Equal([0, 1, 2, 3], window!.Value.Select(part => part.Rollout.Batch.Shard));
            Assert.All(window.Value, part => Assert.Equal(Kinds, part.Scores.Keys.Order()));
            Assert.Empty(join.Open);
        });
    }

    [Fact]
    public void Parts_that_are_late_double_or_foreign_change_nothing()
    {
        var join = WindowJoin.Of([ScoreKind.Rewards]);
        join = Add(join, 0, -1, batches: 1).State;

        Assert.True(Add(join, 0, -1, batches: 1).IsLate);
        Assert.True(Add(join, 1, -1, batches: 1).IsLate);
        Assert.True(Add(join, 0, (int)ScoreKind.Values, batches: 1).IsLate);

        var closed = Add(join, 0, (int)ScoreKind.Rewards, batches: 1);
        Assert.NotNull(closed.Window);
        var late = Add(closed.State, 0, (int)ScoreKind.Rewards, batches: 1);
        Assert.True(late.IsLate);
        Assert.Equal(closed.State, late.State);
        Assert.False(Add(closed.State, 0, -1, batches: 1, BatchPurpose.Evaluate).IsLate);
    }

    [Fact]
    public void The_sum_of_credits_is_constant_and_none_is_spent_that_is_not_there()
    {
        Gen.Int[0, 9].Array[0, 60].Select(Gen.Int[1, 5]).Sample((shards, limit) =>
        {
            var credits = Credits.Of(limit);
            foreach (var shard in shards)
            {
                var batch = new BatchId(1, shard);
                credits = credits.Held.Contains(batch) ? credits.Return(batch).Return(batch)
                    : credits.Free > 0 ? credits.Take(batch) : credits;
                Assert.Equal(limit, credits.Free + credits.Held.Count);
                Assert.InRange(credits.Free, 0, limit);
            }
        });
        Assert.Throws<InvalidOperationException>(() => Credits.Of(1).Take(new BatchId(1, 0)).Take(new BatchId(1, 1)));
        Assert.Throws<InvalidOperationException>(() => Credits.Of(2).Take(new BatchId(1, 0)).Take(new BatchId(1, 0)));
    }

    [Fact]
    public void A_step_waits_until_all_have_begun_and_computed()
    {
        var gate = StepGate.Of([Policy, Critic]).Begun(Policy, 2).Computed(Policy, 0, true);
        Assert.Null(gate.Verdict);
        gate = gate.Begun(Critic, 1);
        Assert.Null(gate.Verdict);
        gate = gate.Computed(Critic, 0, true);
        Assert.True(gate.Verdict!.Apply);
        Assert.Equal(2, gate.Verdict.Members.Length);

        gate = gate.Next().Computed(Critic, 0, false);
        Assert.Null(gate.Verdict);
        gate = gate.Computed(Policy, 1, false);
        Assert.False(gate.Verdict!.Apply);
        Assert.Equal(Policy, Assert.Single(gate.Verdict.Members));
        Assert.Equal(Policy, Assert.Single(gate.Verdict.Overflowed));
        Assert.Null(gate.Next().Verdict);
    }

    [Fact]
    public void One_overflow_skips_the_step_of_all()
    {
        var gate = StepGate.Of([Policy, Critic]).Begun(Policy, 1).Begun(Critic, 1).Computed(Policy, 0, true).Computed(Critic, 0, false);

        Assert.False(gate.Verdict!.Apply);
        Assert.Equal(2, gate.Verdict.Members.Length);
        Assert.Equal(Critic, Assert.Single(gate.Verdict.Overflowed));
    }

    [Theory]
    [InlineData(10, null, 4, "0 4 8 10", "3 6 9 10")]
    [InlineData(10, 5L, 4, "0 4 5", "3 5")]
    [InlineData(10, null, 0, "10", "3 6 9 10")]
    [InlineData(10, 20L, -1, "", "3 6 9 10")]
    public void Measurements_and_checkpoints_follow_their_schedule(long iterations, long? max, long every, string evaluates, string saves)
    {
        var schedule = new Schedule(iterations, max, every, CanEvaluate: true, CheckpointEvery: 3);
        var all = Enumerable.Range(0, (int)schedule.Last + 1).Select(i => (long)i).ToArray();

        Assert.Equal(evaluates, string.Join(" ", all.Where(schedule.EvaluatesAfter)));
        Assert.Equal(saves, string.Join(" ", all.Skip(1).Where(i => schedule.SavesAfter(i, isStopping: false))));
        Assert.DoesNotContain(all, (schedule with { CanEvaluate = false }).EvaluatesAfter);
        Assert.True(schedule.SavesAfter(1, isStopping: true));
        Assert.True(schedule.EndsAfter(1, isStopping: true));
        Assert.False(schedule.EndsAfter(1, isStopping: false));
    }

    [Fact]
    public void A_window_is_cut_without_splitting_a_group_of_answers()
    {
        Gen.Select(Gen.Int[0, 50], Gen.Int[1, 9], Gen.Int[0, 20]).Sample((prompts, answers, rows) =>
        {
            var cut = WindowPlan.Cut(prompts, answers, rows);
            var next = 0;
            foreach (var (first, count) in cut)
            {
                Assert.Equal(next, first);
                Assert.True(count == 1 || rows == 0 || count * answers <= rows);
                next += count;
            }

            Assert.Equal(prompts, next);
        });
        Assert.Single(WindowPlan.Cut(7, 2, 0));
        Assert.Equal([(0, 2), (2, 2), (4, 1)], WindowPlan.Cut(5, 2, 5).ToArray());
    }

    [Fact]
    public void Failures_count_for_ten_minutes_and_for_each_role_alone()
    {
        var start = DateTimeOffset.UnixEpoch;
        var budget = RestartBudget.Of(1).Spend("rollout", start).Spend("reward", start);
        Assert.False(budget.IsSpent("rollout"));
        Assert.True(budget.Spend("rollout", start.AddMinutes(9)).IsSpent("rollout"));
        Assert.False(budget.Spend("rollout", start.AddMinutes(11)).IsSpent("rollout"));
        Assert.True(RestartBudget.Of(0).Spend("rollout", start).IsSpent("rollout"));
    }

    [Fact]
    public void Copies_of_the_state_stay_within_their_share_of_the_time()
    {
        var points = new SafePoints(0.02, null);
        Assert.True(points.IsDue(TimeSpan.Zero));
        points = points.Taken(TimeSpan.FromSeconds(1));
        Assert.False(points.IsDue(TimeSpan.FromSeconds(49)));
        Assert.True(points.IsDue(TimeSpan.FromSeconds(51)));
        Assert.False(new SafePoints(0, null).IsDue(TimeSpan.FromDays(1)));
    }

    // Kind -1 is the rollout itself.
    private static WindowStep Add(WindowJoin join, int shard, int kind, int batches, BatchPurpose purpose = BatchPurpose.Train)
    {
        var batch = new BatchId(3, shard, purpose);
        return kind < 0
            ? join.Add(batch, batches, RolloutOf(batch))
            : join.Add(batch, batches, Scores.Of((ScoreKind)kind, Ragged.Scalars<float>(new float[] { 1 })));
    }

    private static Rollout RolloutOf(BatchId batch) => new(
        new PromptBatch(batch, Ragged.FromRows([new[] { 1 }]), [0], [0], ["{}"], "fake"),
        Ragged.FromRows([new[] { 2 }]),
        Ragged.FromRows([new[] { -1f }]),
        Ragged.FromRows([new[] { true }]),
        Ragged.FromRows([new[] { 1L }]),
        [FinishReason.Stop]);
}
