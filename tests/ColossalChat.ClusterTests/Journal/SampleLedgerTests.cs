using ColossalChat.Contracts;
using CsCheck;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>Every sample counts exactly once, whatever is killed, repeated or out of order.</summary>
[Trait("Category", "CI")]
public sealed class SampleLedgerTests
{
    private const int Rows = 3;
    private static readonly ScoreKind[] Kinds = [ScoreKind.ReferenceLogProbs, ScoreKind.Rewards];
    private static readonly SampleField[] Fields = [SampleField.Rollout, SampleField.ReferenceLogProbs, SampleField.Rewards];

    private delegate LedgerStep Event(SampleLedger ledger);

    [Fact]
    public void A_sample_goes_from_awaited_to_acknowledged()
    {
        var batch = new BatchId(1, 0);
        var ledger = Begun(1, 0).OpenWindow(1, 1, batches: 1).State;
        Assert.Equal(SampleState.Awaited, ledger.StateOf(batch, SampleField.Rollout));
        ledger = ledger.Ready(1, batch, SampleField.Rollout, Rows).State;
        Assert.Equal(SampleState.Ready, ledger.StateOf(batch, SampleField.Rollout));
        Assert.Equal(SampleState.Awaited, ledger.StateOf(batch, SampleField.Rewards));
        ledger = ledger.Ready(1, batch, SampleField.Rewards, Rows).State.Ready(1, batch, SampleField.ReferenceLogProbs, Rows).State.HandOut(1, 1).State;
        Assert.Equal(SampleState.HandedOut, ledger.StateOf(batch, SampleField.Experience));
        ledger = ledger.Acknowledge(1, 1).State;
        Assert.All(Enum.GetValues<SampleField>(), field => Assert.Equal(SampleState.Acknowledged, ledger.StateOf(batch, field)));
        Assert.Equal(Rows, ledger.Counted[1]);
        Assert.Equal(SampleState.Awaited, ledger.StateOf(batch with { Purpose = BatchPurpose.Evaluate }, SampleField.Rollout));
    }

    [Fact]
    public void What_is_double_late_or_foreign_changes_nothing()
    {
        var ledger = Begun(2, 0).OpenWindow(2, 1, batches: 1).State.Ready(2, new BatchId(1, 0), SampleField.Rollout, Rows).State;
        (LedgerOutcome, Event)[] events =
        [
            (LedgerOutcome.Duplicate, state => state.Begin(2, 0)),
            (LedgerOutcome.Late, state => state.Begin(1, 5)),
            (LedgerOutcome.Duplicate, state => state.OpenWindow(2, 1, 1)),
            (LedgerOutcome.Late, state => state.OpenWindow(1, 2, 1)),
            (LedgerOutcome.Duplicate, state => state.Ready(2, new BatchId(1, 0), SampleField.Rollout, Rows)),
            (LedgerOutcome.Late, state => state.Ready(1, new BatchId(1, 0), SampleField.Rewards, Rows)),
            (LedgerOutcome.Late, state => state.Ready(2, new BatchId(1, 1), SampleField.Rewards, Rows)),
            (LedgerOutcome.Late, state => state.Ready(2, new BatchId(1, 0, BatchPurpose.Evaluate), SampleField.Rewards, Rows)),
            (LedgerOutcome.Late, state => state.Ready(2, new BatchId(1, 0), SampleField.Values, Rows)),
            (LedgerOutcome.Late, state => state.HandOut(2, 2)),
            (LedgerOutcome.Late, state => state.Acknowledge(3, 1)),
        ];
        Assert.All(events, one =>
        {
            var step = one.Item2(ledger);
            Assert.Equal(one.Item1, step.Outcome);
            Assert.Same(ledger, step.State);
        });
    }

    [Fact]
    public void Any_order_of_a_windows_events_with_any_of_them_twice_counts_it_once()
    {
        var gen = Gen.Int[1, 4].SelectMany(batches => Gen.Shuffle(Events(1, 1, batches).SelectMany(one => (Event[])[one, one]).ToArray()).Select(events => (batches, events)));
        gen.Sample(trial =>
        {
            var (ledger, taken) = (Begun(1, 0).OpenWindow(1, 1, trial.batches).State, 0);
            foreach (var one in trial.events)
            {
                var step = one(ledger);
                taken += step.Outcome == LedgerOutcome.Taken ? 1 : 0;
                ledger = step.State;
            }

            Assert.Equal(Events(1, 1, trial.batches).Count, taken);
            Assert.Equal([new KeyValuePair<long, int>(1, trial.batches * Rows)], ledger.Counted);
            Assert.Empty(ledger.Open);
        });
    }

    [Fact]
    public void Runs_that_are_killed_and_go_back_count_every_sample_of_their_last_lineage_once()
    {
        // Each attempt: how many iterations it makes, how many events of the next are heard before it ends, and how far the next attempt goes back.
        var attempts = Gen.Select(Gen.Int[0, 4], Gen.Int[0, 10], Gen.Int[0, 3]).Array[1, 6];
        Gen.Select(attempts, Gen.Int[0, 1 << 20]).Sample((lives, seed) =>
        {
            var (ledger, after, epoch) = (SampleLedger.Of(Kinds), 0L, 0L);
            var late = new List<Event>();
            foreach (var (made, torn, back) in lives)
            {
                ledger = ledger.Begin(++epoch, after).State;
                var iteration = after;
                for (var i = 0; i < made; i++)
                    ledger = Live(ledger, epoch, ++iteration, int.MaxValue, late, seed);
                ledger = Live(ledger, epoch, iteration + 1, torn, late, seed);

                // A state that one goes back to was saved after its acknowledgement.
                after = Math.Max(0, iteration - back);
            }

            ledger = ledger.Begin(++epoch, after).State;
            var last = Live(ledger, epoch, after + 1, int.MaxValue, late, seed);
            Assert.Equal(Enumerable.Range(1, (int)after + 1).Select(i => (long)i), last.Counted.Keys);
            Assert.All(last.Counted.Values, samples => Assert.Equal(2 * Rows, samples));
            Assert.Empty(last.Unjournalled);
        });
    }

    [Fact]
    public void A_state_that_one_goes_on_from_is_a_witness_of_what_it_was_made_of()
    {
        var ledger = Begun(1, 0).OpenWindow(1, 1, 1).State;
        foreach (var field in Fields)
            ledger = ledger.Ready(1, new BatchId(1, 0), field, Rows).State;
        var unheard = ledger.OpenWindow(1, 2, 1).State.Ready(1, new BatchId(2, 0), SampleField.Rollout, Rows).State;

        var after = unheard.Begin(2, after: 2).State;

        Assert.Equal([1L], after.Counted.Keys);
        Assert.Equal([2L], after.Unjournalled);
        Assert.Empty(unheard.Begin(2, after: 0).State.Counted);
    }

    private static SampleLedger Begun(long epoch, long after) => SampleLedger.Of(Kinds).Begin(epoch, after).State;

    private static List<Event> Events(long epoch, long iteration, int batches) =>
    [
        .. Enumerable.Range(0, batches).SelectMany(shard => Fields.Select(field => (Event)(ledger => ledger.Ready(epoch, new BatchId(iteration, shard), field, Rows)))),
        ledger => ledger.HandOut(epoch, iteration),
        ledger => ledger.Acknowledge(epoch, iteration),
    ];

    // Hears some of an iteration's events in a random order, with events of earlier lives among them.
    private static SampleLedger Live(SampleLedger ledger, long epoch, long iteration, int heard, List<Event> late, int seed)
    {
        ledger = ledger.OpenWindow(epoch, iteration, batches: 2).State;
        var events = Events(epoch, iteration, 2);
        var order = new RandomKey((ulong)seed, RandomPurpose.Shuffle, iteration, epoch).Permutation(events.Count);
        foreach (var i in order.Take(Math.Min(heard, events.Count - 1 + (heard == int.MaxValue ? 1 : 0))))
        {
            ledger = events[i](ledger).State;
            foreach (var old in late)
                ledger = old(ledger).State;
        }

        late.AddRange(events);
        return ledger;
    }
}
