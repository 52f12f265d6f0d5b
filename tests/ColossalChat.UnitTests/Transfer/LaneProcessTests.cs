using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

/// <summary>Lanes of several processes, some of which are killed.</summary>
[Trait("Category", "CI")]
public sealed class LaneProcessTests : IDisposable
{
    private const int Chunk = BlobFile.ChunkLength;
    private const int Bytes = (5 * Chunk) + 7;
    private readonly LaneNodes _nodes = new();

    public void Dispose() => _nodes.Dispose();

    [Fact]
    public async Task Processes_of_one_machine_share_what_one_published_and_nothing_stays_When_that_one_is_killed()
    {
        using var publisher = LaneProcess.Publisher(_nodes.Folder, "a", Bytes);
        var blob = await publisher.SaysAsync<BlobReference>();
        var (near, far) = (_nodes.Lane("a"), _nodes.Lane("b"));

        Assert.Equal(LaneNodes.Bytes(Bytes), LaneNodes.Fetch(near, blob));
        Assert.Equal(LaneNodes.Bytes(Bytes), LaneNodes.Fetch(far, blob));
        Assert.Equal((0L, (long)Bytes), (near.Counters.Received, far.Counters.Received));

        await publisher.KillAsync();
        // The far machine lets go as soon as the connection closes, and the next lane to start removes the dead one's folder.
        Assert.True(SpinWait.SpinUntil(() => _nodes.Blocks().Length == 1, LaneNodes.Limit));
        _nodes.Lane("a");
        Assert.Empty(_nodes.Blocks());
    }

    [Fact]
    public async Task Another_process_goes_on_where_a_killed_one_stopped()
    {
        var (publisher, heir) = (_nodes.Lane("publisher"), _nodes.Lane("other"));
        var blob = publisher.Publish("weights", LaneNodes.Bytes(Bytes));
        var location = LaneLocation.Parse(blob.Location)!;
        using var release = new ManualResetEventSlim();
        using var proxy = new LaneProxy(publisher.Port) { OnPiece = (_, place, _) => place < 2.5 * Chunk || release.Wait(LaneNodes.Limit) };
        using var carrier = LaneProcess.Reader(_nodes.Folder, "other", proxy.Instead(blob));
        var root = Assert.Single(Directory.GetDirectories(_nodes.Folder));
        var path = Path.Combine(LaneFolder.SharedIn(root, "other", location.Block), "block");
        BlobFile? spool = null;
        Assert.True(SpinWait.SpinUntil(() => (spool ??= BlobFile.TryOpen(path, location.Block, location.Token, Bytes)) is { } file && file.IsReady(1), LaneNodes.Limit));

        var fetch = LaneNodes.FetchAll([heir], blob);
        await carrier.KillAsync();

        Assert.Equal(LaneNodes.Bytes(Bytes), Assert.Single(await fetch));
        Assert.Equal((2L * Chunk, Bytes - (2L * Chunk)), (heir.Counters.Shared, heir.Counters.Received));
        release.Set();
        spool!.Dispose();
    }
}
