using System.Diagnostics;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.UnitTests.Transfer;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Zero;

/// <summary>How collectives fail: everywhere, soon, and saying who and why.</summary>
[Trait("Category", "CI")]
public sealed class CollectiveFailureTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Short = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);

    public static TheoryData<string, string> Cases
    {
        get
        {
            var cases = new TheoryData<string, string>();
            foreach (var (collective, links) in CollectiveRanks.All)
                cases.Add(collective, links);
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task A_rank_that_does_not_come_is_named_at_every_other(string kind, string links)
    {
        using var isOver = new CountdownEvent(2);
        await Each(kind, links, 4, Short, collective =>
        {
            collective.Barrier();
            if (collective.Rank is 1 or 2)
            {
                Assert.True(isOver.Wait(Limit));
                return;
            }

            using var buffer = ones(100);
            var error = Assert.Throws<TimeoutException>(() => collective.AllReduce(buffer));
            Assert.Contains("operation 2 (all-reduce of 100 float32) of group 'trainers': rank(s) 1, 2 of 4 did not come", error.Message, StringComparison.Ordinal);
            // Broken for good: at once, with the same reason.
            Assert.Equal(error.Message, Assert.Throws<TimeoutException>(collective.Barrier).Message);
            isOver.Signal();
        });
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task An_aborted_group_fails_at_every_rank_with_the_first_reason(string kind, string links)
    {
        using var allAreDone = new Barrier(3);
        await Each(kind, links, 3, Deadline, collective =>
        {
            collective.Barrier();
            Assert.True(allAreDone.SignalAndWait(Limit));
            if (collective.Rank == 1)
            {
                collective.Abort("rank 1 ran out of memory.");
                collective.Abort("and something else.");
            }

            using var buffer = ones(1_000_000);
            var error = Assert.Throws<IOException>(() => collective.AllReduce(buffer));
            Assert.Equal("rank 1 ran out of memory.", error.Message);
            Assert.Throws<IOException>(collective.Barrier);
        });
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public Task Different_operations_are_found_and_named(string kind, string links) => Each(kind, links, 2, Deadline, collective =>
    {
        collective.Barrier();
        using var buffer = ones(collective.Rank == 0 ? 10 : 12);
        var error = Assert.Throws<InvalidOperationException>(() => collective.AllReduce(buffer));
        Assert.Contains("operation 2 (all-reduce of 10 float32)", error.Message, StringComparison.Ordinal);
        Assert.Contains("operation 2 (all-reduce of 12 float32)", error.Message, StringComparison.Ordinal);
        Assert.Throws<InvalidOperationException>(collective.Barrier);
    });

    [Theory]
    [MemberData(nameof(Cases))]
    public Task A_rank_that_left_is_named(string kind, string links) => Each(kind, links, 3, Deadline, collective =>
    {
        collective.Barrier();
        if (collective.Rank == 2)
            return;
        var error = Assert.Throws<IOException>(collective.Barrier);
        Assert.Contains("Rank(s) 2", error.Message, StringComparison.Ordinal);
    });

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task A_broken_group_meets_again(string kind, string links)
    {
        using var place = new MeetingPlace(links);
        using var bothAreDone = new Barrier(2);
        await MeetingPlace.EachRank(2, rank =>
        {
            for (var round = 0; round < 3; round++)
            {
                using var collective = CollectiveRanks.Join(kind, place.Links, new RankPlace("trainers", rank, 2), Deadline);
                using var buffer = ones(1000);
                collective.AllReduce(buffer);
                Assert.Equal(2000, buffer.sum().item<float>());
                Assert.True(bothAreDone.SignalAndWait(Limit));
                collective.Abort("again.");
                Assert.Throws<IOException>(collective.Barrier);
            }
        }, Limit);
        Assert.Empty(place.LeftBehind);
    }

    [Theory]
    [InlineData("shared-memory")]
    [InlineData("ring")]
    public async Task A_killed_process_is_named_by_those_that_survive(string kind)
    {
        using var place = new MeetingPlace("directory");
        var before = MeetingPlace.Segments();
        var ranks = Enumerable.Range(0, 3).Select(rank => RankProcess.Start(kind, place.Folder, rank, 3, 3_000_000)).ToArray();
        try
        {
            foreach (var rank in ranks)
                Assert.Equal("ready", await Task.Run(rank.ReadLine).WaitAsync(Limit));

            var killed = Stopwatch.StartNew();
            ranks[1].Kill();
            foreach (var survivor in (RankProcess[])[ranks[0], ranks[2]])
                Assert.Matches(@"^IOException: Rank\(s\) 1 of 3 of group 'trainers' are gone", await survivor.End(Limit));

            // The deadline is a minute; the end of a process is known long before.
            Assert.InRange(killed.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(30));
            Assert.Empty(place.LeftBehind);
            Assert.True(MeetingPlace.NothingStays(before));
        }
        finally
        {
            foreach (var rank in ranks)
                rank.Dispose();
        }
    }

    [Fact]
    public void What_cannot_work_says_what_can()
    {
        using var place = new MeetingPlace("in-process");
        var nccl = Assert.Throws<UserErrorException>(() => CollectiveRanks.Join("nccl", place.Links, RankPlace.Alone, Short));
        Assert.Contains("shared-memory, ring or auto", nccl.Message, StringComparison.Ordinal);
        Assert.Single(new ColossalChat.Zero.CollectiveOptions { Deadline = TimeSpan.Zero }.Problems());
        Assert.Empty(new ColossalChat.Zero.CollectiveOptions().Problems());
    }

    private static Task Each(string kind, string links, int ranks, TimeSpan deadline, Action<ICollective> body) =>
        CollectiveRanks.Each(kind, links, ranks, body, deadline, Limit);
}
