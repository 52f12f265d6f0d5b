using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

[Trait("Category", "CI")]
public sealed class InProcessPeerLinksTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(50);
    private readonly InProcessPeerLinks _links = new();

    [Fact]
    public async Task All_ranks_exchange_more_than_fits_into_a_pipe()
    {
        const int ranks = 3;
        const int bytes = 3 << 20;
        var sums = new long[ranks, ranks];

        await EachRank(ranks, (rank, links) =>
        {
            // Every rank sends to all others on threads of its own: everybody sends first, nobody reads yet.
            var sends = links.OfType<IPeerLink>().Select(link => DeviceLeasesTests.OnThread(
                () => link.Send(Enumerable.Repeat((byte)(rank + 1), bytes).ToArray(), Limit))).ToArray();
            foreach (var link in links.OfType<IPeerLink>())
            {
                var received = new byte[bytes];
                link.Receive(received, Limit);
                sums[rank, link.Peer] = received.Sum(value => (long)value);
            }

            Assert.True(Task.WaitAll(sends, Limit));
        });

        for (var rank = 0; rank < ranks; rank++)
            for (var peer = 0; peer < ranks; peer++)
                Assert.Equal(rank == peer ? 0 : (peer + 1L) * bytes, sums[rank, peer]);
    }

    [Fact]
    public async Task Bytes_keep_their_order_in_pieces_of_any_size()
    {
        const int bytes = 100_000;
        await EachRank(2, (rank, links) =>
        {
            var link = links[1 - rank]!;
            for (int at = 0, size = 1; at < bytes; at += size, size = Math.Min(bytes - at, (size * 7 % 4099) + 1))
            {
                if (size == 0)
                    break;
                if (rank == 0)
                    link.Send([.. Enumerable.Range(at, size).Select(i => (byte)(i * 31))], Limit);
            }

            if (rank == 1)
            {
                var received = new byte[bytes];
                for (var at = 0; at < bytes; at += 1000)
                    link.Receive(received.AsSpan(at, 1000), Limit);
                Assert.Equal(Enumerable.Range(0, bytes).Select(i => (byte)(i * 31)), received);
            }
        });
    }

    [Fact]
    public void A_time_out_names_the_ranks_that_are_missing()
    {
        var error = Assert.Throws<TimeoutException>(() => _links.Join("trainers", 1, 3, Short));

        Assert.Contains("'trainers': rank(s) 0, 2 of 3", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_group_can_meet_again_after_a_time_out_and_after_it_met()
    {
        Assert.Throws<TimeoutException>(() => _links.Join("trainers", 0, 2, Short));

        for (var round = 0; round < 3; round++)
            await EachRank(2, (rank, links) => Assert.Equal(1 - rank, links[1 - rank]!.Peer));
    }

    [Fact]
    public async Task Waiting_names_the_peer_and_ends_with_the_deadline()
    {
        await EachRank(2, (rank, links) =>
        {
            if (rank == 1)
                return;
            var received = Assert.Throws<TimeoutException>(() => links[1]!.Receive(new byte[4], Short));
            Assert.Contains("rank 1 sent 0 of 4 bytes", received.Message, StringComparison.Ordinal);
            var sent = Assert.Throws<TimeoutException>(() => links[1]!.Send(new byte[3 << 20], Short));
            Assert.Contains("rank 1 took 1048576 of 3145728 bytes", sent.Message, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task A_closed_link_is_told_apart_from_a_slow_one()
    {
        await EachRank(2, (rank, links) =>
        {
            if (rank == 0)
            {
                links[1]!.Send([7], Limit);
                links[1]!.Dispose();
                return;
            }

            var last = new byte[1];
            links[0]!.Receive(last, Limit);
            Assert.Equal(7, last[0]);
            Assert.Throws<IOException>(() => links[0]!.Receive(last, Limit));
        });
    }

    [Fact]
    public async Task Both_ends_see_a_shared_segment()
    {
        await EachRank(2, (rank, links) =>
        {
            var link = links[1 - rank]!;
            var segment = link.SharedSegment("gradients", 16)!.Value;
            if (rank == 0)
            {
                segment.Span[5] = 42;
                link.Send([1], Limit);
                return;
            }

            link.Receive(new byte[1], Limit);
            Assert.Equal(42, segment.Span[5]);
            Assert.Throws<ArgumentException>(() => link.SharedSegment("gradients", 17));
        });
    }

    [Fact]
    public void Ranks_that_do_not_fit_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => _links.Join("trainers", 2, 2, Short));
        Assert.Throws<ArgumentOutOfRangeException>(() => _links.Join("trainers", 0, 0, Short));
        Assert.All(_links.Join("alone", 0, 1, Short), Assert.Null);
    }

    private async Task EachRank(int ranks, Action<int, IReadOnlyList<IPeerLink?>> body) =>
        await Task.WhenAll(Enumerable.Range(0, ranks).Select(rank => DeviceLeasesTests.OnThread(
            () => body(rank, _links.Join("trainers", rank, ranks, Limit))))).WaitAsync(Limit);
}
