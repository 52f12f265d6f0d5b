using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

[Trait("Category", "CI")]
public sealed class NetworkBlobLaneTests : IDisposable
{
    private readonly LaneNodes _nodes = new();

    public void Dispose() => _nodes.Dispose();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(BlobFile.ChunkLength)]
    [InlineData((3 * BlobFile.ChunkLength) + 17)]
    public void A_block_comes_as_it_was_published_within_a_machine_and_between_machines(int bytes)
    {
        var (publisher, near, far) = (_nodes.Lane("a"), _nodes.Lane("a"), _nodes.Lane("b"));
        var content = LaneNodes.Bytes(bytes);

        foreach (var blob in (BlobReference[])[publisher.Publish("weights", content), publisher.Publish("stream", new MemoryStream(content), bytes)])
        {
            Assert.Equal(content, LaneNodes.Fetch(near, blob));
            Assert.Equal(content, LaneNodes.Fetch(far, blob));
            Assert.Equal(content, LaneNodes.Fetch(publisher, blob));
        }

        Assert.Equal(0, near.Counters.Received);
        Assert.Equal(4L * bytes, near.Counters.Shared + publisher.Counters.Shared);
        Assert.Equal(2L * bytes, far.Counters.Received);
        Assert.Equal(2L * bytes, publisher.Counters.Sent);
    }

    [Fact]
    public void Equal_content_under_one_name_goes_when_it_was_withdrawn_as_often_and_leaves_no_file()
    {
        var (publisher, near, far) = (_nodes.Lane("a"), _nodes.Lane("a"), _nodes.Lane("b"));
        var blob = publisher.Publish("weights", LaneNodes.Bytes(100));
        Assert.Equal(blob, publisher.Publish("weights", LaneNodes.Bytes(100)));
        Assert.Single(_nodes.Blocks());

        publisher.Withdraw(blob);
        Assert.Equal(100, LaneNodes.Fetch(near, blob).Length);
        publisher.Withdraw(blob);

        Assert.Empty(_nodes.Blocks());
        foreach (var lane in (NetworkBlobLane[])[near, far, publisher])
            Assert.Contains("gone", Assert.ThrowsAny<IOException>(() => LaneNodes.Fetch(lane, blob)).Message, StringComparison.Ordinal);
    }
}
