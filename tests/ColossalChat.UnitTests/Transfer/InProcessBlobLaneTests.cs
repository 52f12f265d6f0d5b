using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

[Trait("Category", "CI")]
public sealed class InProcessBlobLaneTests
{
    private readonly InProcessBlobLane _lane = new();

    [Fact]
    public void A_block_comes_back_as_it_was_published()
    {
        byte[] content = [.. Enumerable.Range(0, 1000).Select(i => (byte)i)];

        var blob = _lane.Publish("weights", content);
        var fetched = new byte[1000];
        Array.Clear(content);
        _lane.Fetch(blob, fetched, CancellationToken.None);

        Assert.Equal(("weights", 1000L), (blob.Name, blob.Bytes));
        Assert.Matches("^[0-9a-f]{32}$", blob.Hash);
        Assert.Equal(Enumerable.Range(0, 1000).Select(i => (byte)i), fetched);
    }

    [Fact]
    public void A_stream_and_a_span_of_equal_content_have_equal_hashes()
    {
        byte[] content = [1, 2, 3];
        using var stream = new MemoryStream([.. content, 4]);

        Assert.Equal(_lane.Publish("a", content).Hash, _lane.Publish("b", stream, 3).Hash);
        Assert.NotEqual(_lane.Publish("a", content).Hash, _lane.Publish("a", [3, 2, 1]).Hash);
        Assert.Throws<EndOfStreamException>(() => _lane.Publish("c", stream, 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => _lane.Publish("c", stream, long.MaxValue));
    }

    [Fact]
    public void What_was_withdrawn_as_often_as_published_is_gone_by_name()
    {
        var blob = _lane.Publish("weights", [1, 2, 3]);
        _lane.Publish("weights", [1, 2, 3]);

        _lane.Withdraw(blob);
        _lane.Fetch(blob, new byte[3], CancellationToken.None);
        _lane.Withdraw(blob);

        var error = Assert.Throws<IOException>(() => _lane.Fetch(blob, new byte[3], CancellationToken.None));
        Assert.Contains("weights", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, _lane.Bytes);
    }

    [Fact]
    public void A_destination_of_another_size_is_refused()
    {
        var blob = _lane.Publish("weights", [1, 2, 3]);

        Assert.Throws<ArgumentException>(() => _lane.Fetch(blob, new byte[4], CancellationToken.None));
    }

    [Fact]
    public async Task Readers_finish_While_a_block_is_withdrawn()
    {
        var content = new byte[1 << 20];
        new RandomKey(1, RandomPurpose.Data).Permutation(256).Select(i => (byte)i).ToArray().CopyTo(content, 0);

        await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => DeviceLeasesTests.OnThread(() =>
        {
            for (var round = 0; round < 50; round++)
            {
                var blob = _lane.Publish($"weights-{round % 3}", content);
                var fetched = new byte[content.Length];
                _lane.Fetch(blob, fetched, CancellationToken.None);
                _lane.Withdraw(blob);
                Assert.True(content.AsSpan().SequenceEqual(fetched));
            }
        }))).WaitAsync(TimeSpan.FromSeconds(30));

        Assert.Equal(0, _lane.Bytes);
    }
}
