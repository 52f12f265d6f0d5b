using System.IO.Hashing;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

/// <summary>The hash that lanes give a block, as the contract describes it.</summary>
[Trait("Category", "CI")]
public sealed class BlockHashTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1 << 20)]
    [InlineData((5 << 19) + 3)]
    public void It_is_the_hash_of_the_chunks_hashes_In_whatever_order_they_come(int bytes)
    {
        var content = LaneNodes.Bytes(bytes);
        var hashes = content.Chunk(1 << 20).Select(chunk => XxHash3.HashToUInt64(chunk)).ToArray();
        var expected = Convert.ToHexStringLower(XxHash128.Hash([.. hashes.SelectMany(hash => Enumerable.Range(0, 8).Select(i => (byte)(hash >> (8 * i))))]));

        var hash = new BlockHash(hashes.Length);
        for (var chunk = hashes.Length - 1; chunk >= 0; chunk--)
            hash.Set(chunk, hashes[chunk]);

        Assert.Equal((expected, expected), (hash.Text, BlockHash.Of(content)));
        hash.Check(new BlobReference("block", bytes, expected));
        Assert.Contains("block", Assert.Throws<IOException>(() => hash.Check(new BlobReference("block", bytes, new string('0', 32)))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void All_lanes_give_a_block_the_same()
    {
        using var nodes = new LaneNodes();
        var content = LaneNodes.Bytes((3 << 19) + 1);
        var hash = BlockHash.Of(content);

        Assert.Equal(hash, nodes.Lane("publisher").Publish("block", content).Hash);
        Assert.Equal(hash, new InProcessBlobLane().Publish("block", content).Hash);
    }
}
