using ColossalChat.Contracts;
using CsCheck;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>What may begin before its iteration does.</summary>
[Trait("Category", "CI")]
public sealed class AheadDecisionTests
{
    [Fact]
    public void Windows_begin_in_order_and_never_beyond_the_bound() =>
        Gen.Select(Gen.Int[0, 8], Gen.Long[0, 5], Gen.Int[0, 3].Array[1, 200]).Sample((staleness, after, events) =>
        {
            var last = after + 10;
            var ahead = WindowsAhead.Of(staleness, last, after);
            var (published, loaded) = (after + 1, after + 1);
            var begun = new List<long>();
            foreach (var one in events)
            {
                // An iteration ends and publishes once its window has begun; readers follow, as late as they like.
                if (one == 0 && ahead.Training < last && (ahead.Training == after || begun.Contains(ahead.Training)))
                {
                    published = ahead.Training + 1;
                    ahead = ahead.Train(ahead.Training + 1);
                }
                else if (one == 1)
                {
                    loaded = Math.Min(published, loaded + 1);
                }

                while (ahead.Next(loaded, mayGoAhead: one != 3) is { } window)
                {
                    Assert.Equal(after + begun.Count + 1, window);
                    Assert.True(window <= last);
                    Assert.True(window - ahead.Training <= (one == 3 ? 0 : staleness), "too far ahead");
                    Assert.True(window - loaded <= staleness, "its weights are too old");
                    begun.Add(window);
                    ahead = ahead.Begin(window);
                }
            }
        }, iter: 2000);

    [Fact]
    public void Strictly_on_policy_nothing_begins_before_its_weights_are_there()
    {
        var ahead = WindowsAhead.Of(0, 9, 3).Train(4);

        Assert.Null(ahead.Next(oldestVersion: 3, mayGoAhead: true));
        Assert.Equal(4, ahead.Next(oldestVersion: 4, mayGoAhead: true));
        Assert.Null(ahead.Begin(4).Next(oldestVersion: 4, mayGoAhead: true));
        Assert.Throws<InvalidOperationException>(() => ahead.Begin(5));
    }

    [Fact]
    public void Windows_that_miss_something_are_those_that_began_and_are_not_whole()
    {
        var ahead = WindowsAhead.Of(3, 9, 0).Train(1).Begin(1).Begin(2).Begin(3).Begin(4).Join(1).Join(3);

        Assert.Equal([2L, 4], ahead.Open);
        Assert.Equal([4L], ahead.Join(2).Train(3).Open);
    }

    [Fact]
    public void Windows_that_overlap_are_joined_each_once_whatever_the_order()
    {
        var parts = Enumerable.Range(1, 3)
            .SelectMany(window => Enumerable.Range(0, 2), (window, shard) => new BatchId(window, shard))
            .SelectMany(batch => new[] { (batch, false), (batch, true), (batch, false) })
            .ToArray();
        Gen.Shuffle(parts).Sample(order =>
        {
            var join = WindowJoin.Of([ScoreKind.Rewards]) with { Ahead = 2 };
            var whole = new List<long>();
            foreach (var (batch, isScore) in order)
            {
                var step = isScore ? join.Add(batch, 2, Scores.Of(ScoreKind.Rewards, Ragged.Scalars<float>(new[] { 1f }))) : join.Add(batch, 2, Rollout(batch));
                join = step.State;
                if (step.Window is { } window)
                {
                    Assert.Equal([0, 1], window.Select(part => part.Rollout.Batch.Shard));
                    Assert.All(window, part => Assert.Equal(batch.Iteration, part.Rollout.Batch.Iteration));
                    whole.Add(batch.Iteration);
                }
            }

            Assert.Equal([1L, 2, 3], whole.Order());
        }, iter: 500);
    }

    [Fact]
    public void A_measurement_that_ends_after_a_later_window_is_not_late()
    {
        var join = WindowJoin.Of([]) with { Ahead = 1 };
        join = join.Add(new BatchId(2, 0), 1, Rollout(new BatchId(2, 0))).State;

        var measured = new BatchId(1, 0, BatchPurpose.Evaluate);
        Assert.False(join.Add(measured, 1, Rollout(measured)).IsLate);
        Assert.True(join.Add(new BatchId(2, 0), 1, Rollout(new BatchId(2, 0))).IsLate);
        Assert.True(join.Add(new BatchId(0, 0), 1, Rollout(new BatchId(0, 0))).IsLate);
    }

    [Fact]
    public void Answers_of_other_weights_have_another_mark()
    {
        var one = Rollout(new BatchId(1, 0));

        Assert.Equal(RolloutMark.Of(one), RolloutMark.Of(Rollout(new BatchId(1, 0))));
        Assert.NotEqual(RolloutMark.Of(one), RolloutMark.Of(one with { WeightVersions = Ragged.FromRows<long>([[2]]) }));
        Assert.NotEqual(RolloutMark.Of(one), RolloutMark.Of(one with { Tokens = Ragged.FromRows<int>([[8]]) }));
    }

    private static Rollout Rollout(BatchId batch) => new(
        new PromptBatch(batch, Ragged.FromRows<int>([[1]]), [0], [0], ["{}"], "fake"),
        Ragged.FromRows<int>([[7]]),
        Ragged.FromRows<float>([[-1]]),
        Ragged.FromRows<bool>([[true]]),
        Ragged.FromRows<long>([[1]]),
        [FinishReason.Stop]);
}
