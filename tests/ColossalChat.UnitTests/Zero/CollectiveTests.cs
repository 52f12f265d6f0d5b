using ColossalChat.Contracts.Torch;
using Xunit;
using static TorchSharp.torch;

namespace ColossalChat.UnitTests.Zero;

// n = elements, R = ranks.

/// <summary>Every operation of every collective against sums and copies written plainly.</summary>
[Trait("Category", "CI")]
public sealed class CollectiveTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);
    private static readonly ScalarType[] s_types = [ScalarType.Float32, ScalarType.BFloat16, ScalarType.Int64];

    public static TheoryData<string, string, int> Cases
    {
        get
        {
            var cases = new TheoryData<string, string, int>();
            foreach (var (collective, links) in CollectiveRanks.All)
                for (var ranks = 1; ranks <= 4; ranks++)
                    cases.Add(collective, links, ranks);
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public Task All_reduce_sums_in_rank_order_with_equal_bits_everywhere(string kind, string links, int ranks) => Each(kind, links, ranks, collective =>
    {
        // Below, at and beyond a part of shared memory; odd on purpose.
        foreach (var type in s_types)
        {
            foreach (var n in (long[])[0, 1, ranks - 1, ranks, 17, 65_537, 700_001])
            {
                using var scope = NewDisposeScope();
                var buffer = CollectiveRanks.Elements(collective.Rank, n, type);
                collective.AllReduce(buffer);
                Same(Sum(ranks, n, type, type), buffer, $"all-reduce of {n} {type}");
            }
        }
    });

    [Theory]
    [MemberData(nameof(Cases))]
    public Task Reduce_scatter_keeps_the_own_slice(string kind, string links, int ranks) => Each(kind, links, ranks, collective =>
    {
        foreach (var (type, sliceType) in s_types.Select(type => (type, type)).Append((ScalarType.BFloat16, ScalarType.Float32)))
        {
            foreach (var share in (long[])[0, 1, 33, 65_537, 150_001])
            {
                using var scope = NewDisposeScope();
                var buffer = CollectiveRanks.Elements(collective.Rank, share * ranks, type);
                var slice = zeros(share, sliceType);
                collective.ReduceScatter(buffer, slice);
                Same(Sum(ranks, share * ranks, type, sliceType).narrow(0, collective.Rank * share, share), slice, $"reduce-scatter of {share} {type} to {sliceType}");
            }
        }
    });

    [Theory]
    [MemberData(nameof(Cases))]
    public Task All_gather_joins_slices_in_rank_order(string kind, string links, int ranks) => Each(kind, links, ranks, collective =>
    {
        foreach (var type in s_types)
        {
            foreach (var share in (long[])[0, 1, 33, 65_537, 150_001])
            {
                using var scope = NewDisposeScope();
                var expected = cat([.. Enumerable.Range(0, ranks).Select(rank => CollectiveRanks.Elements(rank, share, type))]);
                var buffer = zeros(share * ranks, type);
                collective.AllGather(CollectiveRanks.Elements(collective.Rank, share, type), buffer);
                Same(expected, buffer, $"all-gather of {share} {type}");

                // The slice may lie in the buffer already.
                var inPlace = zeros(share * ranks, type);
                var own = inPlace.narrow(0, collective.Rank * share, share);
                own.copy_(CollectiveRanks.Elements(collective.Rank, share, type));
                collective.AllGather(own, inPlace);
                Same(expected, inPlace, $"all-gather in place of {share} {type}");
            }
        }
    });

    [Theory]
    [MemberData(nameof(Cases))]
    public Task Broadcast_copies_any_roots_buffer(string kind, string links, int ranks) => Each(kind, links, ranks, collective =>
    {
        for (var root = 0; root < ranks; root++)
        {
            foreach (var n in (long[])[0, 1, 33, 700_001])
            {
                using var scope = NewDisposeScope();
                var buffer = CollectiveRanks.Elements(collective.Rank, n, ScalarType.BFloat16);
                collective.Broadcast(buffer, root);
                Same(CollectiveRanks.Elements(root, n, ScalarType.BFloat16), buffer, $"broadcast of {n} from {root}");
            }
        }
    });

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Nobody_passes_a_barrier_before_all_have_come(string kind, string links, int ranks)
    {
        var come = 0;
        await Each(kind, links, ranks, collective =>
        {
            for (var round = 1; round <= 50; round++)
            {
                Interlocked.Increment(ref come);
                collective.Barrier();
                Assert.True(Volatile.Read(ref come) >= round * ranks);
                collective.Barrier();
            }
        });
    }

    [Theory]
    [InlineData("ring", "in-process", 2)]
    [InlineData("ring", "socket", 3)]
    [InlineData("ring", "in-process", 4)]
    [InlineData("shared-memory", "directory", 2)]
    public Task Several_pieces_follow_each_other(string kind, string links, int ranks) => Each(kind, links, ranks, collective =>
    {
        using var scope = NewDisposeScope();
        // A piece of the ring has 8 MiB: more than one, of each rank's slice too. A pattern of odd length repeats in them.
        const long share = 2_500_003;
        const long period = 8_191;
        var (type, n) = (ScalarType.Float32, share * ranks);
        Tensor Repeat(Tensor pattern, long elements) => pattern.repeat((elements / period) + 1).narrow(0, 0, elements).clone();
        var (own, sum) = (CollectiveRanks.Elements(collective.Rank, period, type), Sum(ranks, period, type, type));

        var buffer = Repeat(own, share);
        collective.AllReduce(buffer);
        Same(Repeat(sum, share), buffer, "all-reduce");

        var (whole, slice) = (Repeat(own, n), zeros(share));
        collective.ReduceScatter(whole, slice);
        Same(Repeat(sum, n).narrow(0, collective.Rank * share, share), slice, "reduce-scatter");
        collective.AllGather(slice, whole);
        Same(Repeat(sum, n), whole, "all-gather");

        var spread = Repeat(own, share);
        collective.Broadcast(spread, ranks - 1);
        Same(Repeat(CollectiveRanks.Elements(ranks - 1, period, type), share), spread, "broadcast");
    });

    [Theory]
    [InlineData("shared-memory", "directory")]
    [InlineData("shared-memory", "in-process")]
    [InlineData("ring", "socket")]
    public Task Operations_of_all_kinds_follow_each_other(string kind, string links) => Each(kind, links, 3, collective =>
    {
        for (var round = 0; round < 30; round++)
        {
            using var scope = NewDisposeScope();
            var n = 3 * ((round * 7919 % 5000) + 1);
            var buffer = full(n, collective.Rank + round, ScalarType.Float32);
            collective.AllReduce(buffer);
            var slice = zeros(n / 3, ScalarType.Float32);
            collective.ReduceScatter(buffer, slice);
            collective.AllGather(slice, buffer);
            collective.Broadcast(buffer, round % 3);
            Same(full(n, 3f * (3 + (3 * round)), ScalarType.Float32), buffer, $"round {round}");
        }
    });

    [Fact]
    public Task Halves_are_rounded_once_to_even_and_not_a_number_stays_so() => Each("shared-memory", "in-process", 3, collective =>
    {
        using var scope = NewDisposeScope();
        // 256 + 1 + 1: rounding after each addition would give 256, one rounding 258. 256 + 1 is a tie, which goes to even.
        float[] values = collective.Rank == 0
            ? [256, 256, 258, float.NaN, float.PositiveInfinity, .. Enumerable.Repeat(256f, 40)]
            : collective.Rank == 1
                ? [1, 1, 1, 0, float.NegativeInfinity, .. Enumerable.Repeat(1f, 40)]
                : [1, 0, 0, 0, 0, .. Enumerable.Repeat(1f, 40)];
        var buffer = tensor(values).to(ScalarType.BFloat16);
        collective.AllReduce(buffer);
        var sums = buffer.to(float32).data<float>().ToArray();
        Assert.Equal([258, 256, 260], sums[..3]);
        Assert.True(float.IsNaN(sums[3]) && float.IsNaN(sums[4]));
        Assert.All(sums[5..], sum => Assert.Equal(258, sum));
    });

    [Fact]
    public Task Buffers_that_do_not_fit_are_refused_before_anybody_waits() => Each("shared-memory", "in-process", 2, collective =>
    {
        using var scope = NewDisposeScope();
        Assert.Contains("2 dimensions", Assert.Throws<ArgumentException>(() => collective.AllReduce(zeros(2, 2))).Message, StringComparison.Ordinal);
        Assert.Contains("contiguous", Assert.Throws<ArgumentException>(() => collective.AllReduce(zeros(4, 2).select(1, 0))).Message, StringComparison.Ordinal);
        Assert.Contains("Float64", Assert.Throws<ArgumentException>(() => collective.AllReduce(zeros(2, ScalarType.Float64))).Message, StringComparison.Ordinal);
        Assert.Contains("same share", Assert.Throws<ArgumentException>(() => collective.ReduceScatter(zeros(5), zeros(2))).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => collective.AllGather(zeros(2, ScalarType.Float32), zeros(4, ScalarType.BFloat16)));
        Assert.Throws<ArgumentOutOfRangeException>(() => collective.Broadcast(zeros(2), 2));
        collective.Barrier();
    });

    private static Task Each(string kind, string links, int ranks, Action<ICollective> body) =>
        CollectiveRanks.Each(kind, links, ranks, body, Deadline, Limit);

    // In rank order; bfloat16 in float32, rounded at the end by libtorch.
    private static Tensor Sum(int ranks, long n, ScalarType type, ScalarType to)
    {
        var sum = Wide(0);
        for (var rank = 1; rank < ranks; rank++)
            sum = sum + Wide(rank);
        return sum.to(to);

        Tensor Wide(int rank) => CollectiveRanks.Elements(rank, n, type) is var own && type == ScalarType.BFloat16 ? own.to(float32) : own;
    }

    private static void Same(Tensor expected, Tensor actual, string what) => Assert.True(expected.Equals(actual), what);
}
