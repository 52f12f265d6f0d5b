using System.Net;
using System.Net.Sockets;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

/// <summary>What all kinds of peer links promise.</summary>
[Trait("Category", "CI")]
public sealed class PeerLinksTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(300);

    public static TheoryData<string> Kinds => [.. MeetingPlace.Kinds];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task All_ranks_exchange_more_than_fits_into_a_pipe(string kind)
    {
        const int ranks = 3;
        const int bytes = 3 << 20;
        var sums = new long[ranks, ranks];
        using var place = new MeetingPlace(kind);

        await place.EachRank(ranks, group =>
        {
            // Every rank sends to all others on threads of its own: everybody sends first, nobody reads yet.
            var sends = Others(group).Select(link => DeviceLeasesTests.OnThread(
                () => link.Send(Enumerable.Repeat((byte)(group.Place.Rank + 1), bytes).ToArray(), Limit))).ToArray();
            foreach (var link in Others(group))
            {
                var received = new byte[bytes];
                link.Receive(received, Limit);
                sums[group.Place.Rank, link.Peer] = received.Sum(value => (long)value);
            }

            Assert.True(Task.WaitAll(sends, Limit));
        }, Limit);

        for (var rank = 0; rank < ranks; rank++)
            for (var peer = 0; peer < ranks; peer++)
                Assert.Equal(rank == peer ? 0 : (peer + 1L) * bytes, sums[rank, peer]);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Bytes_keep_their_order_in_pieces_of_any_size(string kind)
    {
        const int bytes = 100_000;
        using var place = new MeetingPlace(kind);
        await place.EachRank(2, group =>
        {
            var link = group.LinkTo(1 - group.Place.Rank);
            for (int at = 0, size = 1; at < bytes; at += size, size = Math.Min(bytes - at, (size * 7 % 4099) + 1))
            {
                if (size == 0)
                    break;
                if (group.Place.Rank == 0)
                    link.Send([.. Enumerable.Range(at, size).Select(i => (byte)(i * 31))], Limit);
            }

            if (group.Place.Rank == 1)
            {
                var received = new byte[bytes];
                for (var at = 0; at < bytes; at += 1000)
                    link.Receive(received.AsSpan(at, 1000), Limit);
                Assert.Equal(Enumerable.Range(0, bytes).Select(i => (byte)(i * 31)), received);
            }
        }, Limit);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_time_out_names_the_ranks_that_are_missing(string kind)
    {
        using var place = new MeetingPlace(kind);
        var error = Assert.Throws<TimeoutException>(() => place.Links.Join(new RankPlace("trainers", 1, 3), Short));

        Assert.Contains("'trainers': rank(s) 0, 2 of 3", error.Message, StringComparison.Ordinal);
        Assert.Empty(place.LeftBehind);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_wait_can_be_given_up_and_the_group_may_meet_later(string kind)
    {
        using var place = new MeetingPlace(kind);
        using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
        Assert.ThrowsAny<OperationCanceledException>(() => place.Links.Until(cancel.Token).Join(new RankPlace("trainers", 1, 2), TimeSpan.FromMinutes(10)));
        Assert.Empty(place.LeftBehind);
        await place.EachRank(2, _ => { }, Limit);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_rank_that_waits_is_not_called_missing(string kind)
    {
        using var place = new MeetingPlace(kind);
        await MeetingPlace.EachRank(2, rank =>
        {
            var wait = TimeSpan.FromSeconds(rank == 0 ? 2 : 20);
            if (rank == 1)
            {
                // Ends with the wait of rank 0 or its own; either way rank 2 never came.
                var late = Assert.Throws<TimeoutException>(() => place.Links.Join(new RankPlace("trainers", 1, 3), TimeSpan.FromSeconds(3)));
                Assert.Contains("2 of 3", late.Message, StringComparison.Ordinal);
                return;
            }

            var error = Assert.Throws<TimeoutException>(() => place.Links.Join(new RankPlace("trainers", 0, 3), wait));
            Assert.Contains("rank(s) 2 of 3", error.Message, StringComparison.Ordinal);
        }, Limit);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_group_can_meet_again_after_a_time_out_and_after_it_met(string kind)
    {
        using var place = new MeetingPlace(kind);
        Assert.Throws<TimeoutException>(() => place.Links.Join(new RankPlace("trainers", 0, 2), Short));

        await MeetingPlace.EachRank(3, rank =>
        {
            for (var round = 0; round < 4; round++)
            {
                using var group = place.Links.Join(new RankPlace("trainers", rank, 3), Limit);
                var next = group.LinkTo((rank + 1) % 3);
                next.Send([(byte)round], Limit);
                var received = new byte[1];
                group.LinkTo((rank + 2) % 3).Receive(received, Limit);
                Assert.Equal(round, received[0]);
            }
        }, Limit);
        Assert.Empty(place.LeftBehind);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Several_groups_meet_at_one_place(string kind)
    {
        using var place = new MeetingPlace(kind);
        await MeetingPlace.EachRank(4, who =>
        {
            using var group = place.Links.Join(new RankPlace(who < 2 ? "policy" : "critic / 二", who % 2, 2), Limit);
            group.LinkTo(1 - (who % 2)).Send([(byte)who], Limit);
            var received = new byte[1];
            group.LinkTo(1 - (who % 2)).Receive(received, Limit);
            Assert.Equal(who ^ 1, received[0]);
        }, Limit);
        Assert.Empty(place.LeftBehind);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Waiting_names_the_peer_and_ends_with_the_deadline(string kind)
    {
        using var place = new MeetingPlace(kind);
        await place.EachRank(2, group =>
        {
            if (group.Place.Rank == 1)
            {
                // Stays until rank 0 has seen both.
                group.LinkTo(0).Receive(new byte[1], Limit);
                return;
            }

            var link = group.LinkTo(1);
            var received = Assert.Throws<TimeoutException>(() => link.Receive(new byte[4], Short));
            Assert.Contains("rank 1 sent 0 of 4 bytes", received.Message, StringComparison.Ordinal);
            link.Send([1], Limit);
            var sent = Assert.ThrowsAny<Exception>(() => link.Send(new byte[64 << 20], Short));
            Assert.Contains("rank 1", sent.Message, StringComparison.Ordinal);
        }, Limit);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Leaving_is_told_apart_from_being_slow(string kind)
    {
        using var place = new MeetingPlace(kind);
        await place.EachRank(2, group =>
        {
            if (group.Place.Rank == 0)
            {
                group.LinkTo(1).Send([7], Limit);
                return;
            }

            var last = new byte[1];
            group.LinkTo(0).Receive(last, Limit);
            Assert.Equal(7, last[0]);
            Assert.Contains("rank 0", Assert.Throws<IOException>(() => group.LinkTo(0).Receive(last, Limit)).Message, StringComparison.Ordinal);
            Assert.Equal([0], group.Gone);
        }, Limit);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task All_ranks_see_a_shared_segment_and_nothing_is_left_of_it(string kind)
    {
        using var place = new MeetingPlace(kind);
        var before = MeetingPlace.Segments();
        await place.EachRank(3, group =>
        {
            using var segment = group.SharedSegment("gradients", 5000, Limit)!;
            Assert.Equal(5000, segment.Bytes);
            Assert.True(MeetingPlace.NothingStays(before));
            var rank = group.Place.Rank;
            Assert.Equal(0, segment.Span(rank, 1)[0]);
            segment.Span(100 + rank, 1)[0] = (byte)(rank + 1);
            Ring(group);
            Assert.Equal([1, 2, 3], segment.Span(100, 3).ToArray());
            Assert.Throws<ArgumentOutOfRangeException>(() => segment.Span(4999, 2).Length);
            Assert.Throws<ArgumentException>(() => group.SharedSegment("gradients", 5000, Limit));
            Ring(group);
        }, Limit);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Segments_of_different_sizes_are_refused_at_every_rank(string kind)
    {
        using var place = new MeetingPlace(kind);
        await place.EachRank(2, group =>
        {
            var error = Assert.Throws<ArgumentException>(() => group.SharedSegment("gradients", 16 + group.Place.Rank, Limit));
            Assert.Contains("'gradients'", error.Message, StringComparison.Ordinal);
            Ring(group);
        }, Limit);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_segment_that_not_all_ask_for_names_who_did_not(string kind)
    {
        using var place = new MeetingPlace(kind);
        using var isOver = new CountdownEvent(1);
        await place.EachRank(2, group =>
        {
            if (group.Place.Rank == 1)
            {
                Assert.True(isOver.Wait(Limit));
                return;
            }

            var error = Assert.Throws<TimeoutException>(() => group.SharedSegment("gradients", 16, Short));
            Assert.Contains("rank(s) 1 of 2", error.Message, StringComparison.Ordinal);
            isOver.Signal();
        }, Limit);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Breaking_a_group_ends_the_waiting_of_all_with_the_reason(string kind)
    {
        using var place = new MeetingPlace(kind);
        await place.EachRank(3, group =>
        {
            if (group.Place.Rank == 2)
            {
                group.LinkTo(0).Receive(new byte[1], Limit);
                group.Abort("the optimiser ran away.");
                group.Abort("a second reason");
            }
            else if (group.Place.Rank == 0)
            {
                group.LinkTo(2).Send([1], Limit);
            }

            var waits = (group.Place.Rank + 1) % 3;
            var error = Assert.Throws<IOException>(() => group.LinkTo(waits).Receive(new byte[1], Limit));
            Assert.Contains("the optimiser ran away.", error.Message, StringComparison.Ordinal);
            Assert.Equal("the optimiser ran away.", group.BrokenBy);
            Assert.Throws<IOException>(() => group.LinkTo(waits).Send([1], Limit));
        }, Limit);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Ranks_that_do_not_fit_are_refused(string kind)
    {
        using var place = new MeetingPlace(kind);
        Assert.Throws<ArgumentOutOfRangeException>(() => place.Links.Join(new RankPlace("trainers", 2, 2), Short));
        Assert.Throws<ArgumentOutOfRangeException>(() => place.Links.Join(new RankPlace("trainers", 0, 0), Short));
        using var alone = place.Links.Join(new RankPlace("alone", 0, 1), Short);
        Assert.Throws<ArgumentOutOfRangeException>(() => alone.LinkTo(0));
        Assert.True(alone.SharesAddressSpace);

        // The first two wait for a third; whoever comes as somebody else, or with another number, is sent away.
        await MeetingPlace.EachRank(2, rank =>
        {
            if (rank == 0)
            {
                Assert.Throws<TimeoutException>(() => place.Links.Join(new RankPlace("trainers", 0, 3), TimeSpan.FromSeconds(8)));
                return;
            }

            AwaitRankZero(place.Links);
            var error = Assert.Throws<ArgumentException>(() => place.Links.Join(new RankPlace("trainers", 1, 2), Limit));
            Assert.Contains("all must agree", error.Message, StringComparison.Ordinal);
            error = Assert.Throws<ArgumentException>(() => place.Links.Join(new RankPlace("trainers", 0, 3), Limit));
            Assert.Contains("Rank 0 of group 'trainers' has already come", error.Message, StringComparison.Ordinal);
        }, Limit);
    }

    [Fact]
    public async Task Strangers_at_the_port_are_turned_away()
    {
        var port = MeetingPlace.FreePort();
        await MeetingPlace.EachRank(3, who =>
        {
            if (who == 2)
            {
                var stranger = new SocketPeerLinks("127.0.0.1", port, "wrong");
                Assert.Contains("token", Assert.Throws<ArgumentException>(() => stranger.Join(new RankPlace("trainers", 1, 2), Limit)).Message, StringComparison.Ordinal);
                return;
            }

            if (who == 1)
                Knock(port);
            using var group = new SocketPeerLinks("127.0.0.1", port, "right").Join(new RankPlace("trainers", who, 2), Limit);
            Ring(group);
        }, Limit);
    }

    [Fact]
    public async Task Cards_that_a_killed_process_left_are_replaced()
    {
        using var place = new MeetingPlace("directory");
        var folder = Directory.CreateDirectory(Path.Combine(place.Folder, "trainers"));
        for (var rank = 0; rank < 2; rank++)
            File.WriteAllText(Path.Combine(folder.FullName, $"rank-{rank}.card"), $$"""{"Rank":{{rank}},"Ranks":2,"Id":"{{Guid.NewGuid()}}","Address":"127.0.0.1","Port":{{MeetingPlace.FreePort()}}}""");

        await place.EachRank(2, Ring, Limit);

        Assert.Empty(place.LeftBehind);
    }

    private static void Knock(int port)
    {
        // Nobody listens yet, or nonsense is said to whoever does.
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Connect(new IPEndPoint(IPAddress.Loopback, port));
            socket.Send("GET / HTTP/1.1\r\n\r\n"u8);
        }
        catch (SocketException error)
        {
            Assert.Equal(SocketError.ConnectionRefused, error.SocketErrorCode);
        }
    }

    // Until rank 0 is there nobody can refuse: waits as rank 1 in its place until only rank 2 is missing.
    private static void AwaitRankZero(PeerLinks links)
    {
        var missing = "";
        while (!missing.Contains("rank(s) 2 of 3", StringComparison.Ordinal))
            missing = Assert.Throws<TimeoutException>(() => links.Join(new RankPlace("trainers", 1, 3), TimeSpan.FromMilliseconds(300))).Message;
    }

    private static IEnumerable<IPeerLink> Others(IPeerGroup group) =>
        Enumerable.Range(0, group.Place.Ranks).Where(peer => peer != group.Place.Rank).Select(group.LinkTo);

    // Each rank returns when all have come.
    private static void Ring(IPeerGroup group)
    {
        foreach (var link in Others(group))
            link.Send([1], Limit);
        foreach (var link in Others(group))
            link.Receive(new byte[1], Limit);
    }
}
