using ColossalChat.Contracts;
using ColossalChat.Zero;
using Xunit;

namespace ColossalChat.UnitTests.Zero;

/// <summary>How near a core is depends on the machine; what never may happen does not.</summary>
[Trait("Category", "CI")]
public sealed class NeighboursTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public void A_rank_that_does_not_answer_is_far()
    {
        var place = new RankPlace("trainers", 0, 2);
        var neighbours = new Neighbours(place, new ProgressBoard(place, new Words(2)));
        neighbours.Measure();
        Assert.False(neighbours.IsNear(1));
        Assert.False(neighbours.AreAllNear);
    }

    [Fact]
    public async Task A_rank_that_answers_slowly_is_far()
    {
        var (place, words) = (new RankPlace("trainers", 0, 2), new Words(2));
        var neighbours = new Neighbours(place, new ProgressBoard(place, words));
        var (slow, isOver, isThere) = (new ProgressBoard(place with { Rank = 1 }, words), false, new TaskCompletionSource());
        var answers = Task.Factory.StartNew(() =>
        {
            isThere.SetResult();
            for (var answered = 0L; !Volatile.Read(ref isOver);)
            {
                if (slow.Thrown(0) is var thrown && thrown == answered)
                    continue;
                // A microsecond or more, as nothing between two caches takes.
                Thread.SpinWait(30);
                slow.Throw(0, answered = thrown);
            }
        }, TaskCreationOptions.LongRunning);
        await isThere.Task;
        for (var time = 0; time < 20; time++)
        {
            neighbours.Measure();
            Assert.False(neighbours.IsNear(1));
        }

        Volatile.Write(ref isOver, true);
        await answers.WaitAsync(Limit);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Ranks_measure_together_as_often_as_they_like(int ranks)
    {
        var words = new Words(ranks);
        await Task.WhenAll(Enumerable.Range(0, ranks).Select(rank => Task.Factory.StartNew(() =>
        {
            var place = new RankPlace("trainers", rank, ranks);
            var neighbours = new Neighbours(place, new ProgressBoard(place, words));
            for (var time = 0; time < 50; time++)
                neighbours.Measure();
            Assert.Equal(Enumerable.Range(0, ranks).All(other => other == rank || neighbours.IsNear(other)), neighbours.AreAllNear);
        }, TaskCreationOptions.LongRunning))).WaitAsync(Limit);
    }

    // Shared by threads instead of processes.
    private sealed class Words(int ranks) : ISharedSegment
    {
        private readonly byte[] _bytes = GC.AllocateArray<byte>(ProgressBoard.BytesFor(ranks), pinned: true);

        public long Bytes => _bytes.Length;

        public Span<byte> Span(long offset, int length) => _bytes.AsSpan((int)offset, length);

        public void Dispose()
        {
            // The array is collected.
        }
    }
}
