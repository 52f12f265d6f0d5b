using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

/// <summary>Many readers of one publication, and what happens when some of them fail.</summary>
[Trait("Category", "CI")]
public sealed class LaneChainTests : IDisposable
{
    private const int Chunk = BlobFile.ChunkLength;
    private const int Chunks = 6;
    private const int Bytes = ((Chunks - 1) * Chunk) + 1001;
    private readonly LaneNodes _nodes = new();
    private readonly byte[] _content = LaneNodes.Bytes(Bytes);
    private readonly NetworkBlobLane _publisher;

    public LaneChainTests() => _publisher = _nodes.Lane("publisher");

    public void Dispose() => _nodes.Dispose();

    [Fact]
    public async Task The_publisher_sends_a_block_once_However_many_machines_read_it_and_When()
    {
        var blob = _publisher.Publish("weights", _content);
        var readers = Enumerable.Range(0, 4).Select(i => _nodes.Lane($"machine {i}")).ToArray();

        Assert.All(await LaneNodes.FetchAll(readers, blob), fetched => Assert.Equal(_content, fetched));
        var late = _nodes.Lane("late");
        Assert.Equal(_content, LaneNodes.Fetch(late, blob));

        Assert.Equal(Bytes, _publisher.CountersOf(blob).Sent);
        Assert.Equal(4, _publisher.CountersOf(blob).Redirected);
        Assert.Equal(5L * Bytes, readers.Append(late).Sum(reader => reader.Counters.Received));
    }

    [Fact]
    public async Task A_machine_fetches_once_for_all_of_its_processes()
    {
        var blob = _publisher.Publish("weights", _content);
        var readers = Enumerable.Range(0, 3).Select(_ => _nodes.Lane("other")).ToArray();

        Assert.All(await LaneNodes.FetchAll(readers, blob), fetched => Assert.Equal(_content, fetched));
        Assert.Equal(_content, LaneNodes.Fetch(readers[0], blob));

        Assert.Equal(Bytes, readers.Sum(reader => reader.Counters.Received));
        Assert.Equal(Bytes, _publisher.Counters.Sent);
    }

    [Fact]
    public void A_broken_chunk_alone_is_fetched_again()
    {
        using var proxy = new LaneProxy(_publisher.Port);
        var isBroken = false;
        proxy.OnPiece = (_, place, piece) =>
        {
            if (!isBroken && place > 2.5 * Chunk)
                (piece.Span[0], isBroken) = ((byte)~piece.Span[0], true);
            return true;
        };
        var reader = _nodes.Lane("reader");

        Assert.Equal(_content, LaneNodes.Fetch(reader, proxy.Instead(_publisher.Publish("weights", _content))));

        Assert.Equal(1, reader.Counters.Broken);
        Assert.Equal(Bytes + Chunk, reader.Counters.Received);
        Assert.Equal(1, proxy.Connections);
    }

    [Fact]
    public void A_connection_that_is_cut_is_taken_up_again_at_the_chunk_reached()
    {
        using var proxy = new LaneProxy(_publisher.Port) { OnPiece = (number, place, _) => number >= 2 || place < 1.5 * Chunk };
        var reader = _nodes.Lane("reader");

        Assert.Equal(_content, LaneNodes.Fetch(reader, proxy.Instead(_publisher.Publish("weights", _content))));

        Assert.Equal(3, proxy.Connections);
        Assert.Equal(Bytes, reader.Counters.Received);
    }

    [Fact]
    public async Task A_parent_that_dies_is_replaced_and_the_child_goes_on_from_the_chunk_reached()
    {
        var blob = _publisher.Publish("weights", _content);
        var (parent, child) = (_nodes.Lane("parent"), _nodes.Lane("child"));
        using var held = new HeldReader(_publisher, parent, blob, afterChunks: 3);
        held.AwaitHold();

        var childFetch = LaneNodes.FetchAll([child], blob);
        Assert.True(SpinWait.SpinUntil(() => child.Counters.Received == 3 * Chunk, LaneNodes.Limit));
        parent.Dispose();

        Assert.Equal(_content, Assert.Single(await childFetch));
        Assert.Equal(Bytes, child.Counters.Received);
        Assert.Equal(3 * Chunk, parent.Counters.Sent);
        // What the parent had got, or was being sent when it was held, and the child's rest.
        Assert.InRange(_publisher.Counters.Sent, Bytes, 2L * Bytes);
    }

    [Fact]
    public async Task Another_process_of_the_machine_takes_over_When_the_one_that_fetches_gives_up()
    {
        var blob = _publisher.Publish("weights", _content);
        var (first, second) = (_nodes.Lane("other"), _nodes.Lane("other"));
        using var cancel = new CancellationTokenSource();
        using var held = new HeldReader(_publisher, first, blob, afterChunks: 2, cancel.Token);
        held.AwaitHold();

        var fetch = LaneNodes.FetchAll([second], blob);
        await cancel.CancelAsync();

        Assert.Equal(_content, Assert.Single(await fetch));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => held.Fetch);
        Assert.Equal(Bytes - (2 * Chunk), second.Counters.Received);
        Assert.Equal(2 * Chunk, second.Counters.Shared);
    }

    [Fact]
    public async Task Who_fetches_while_a_block_is_withdrawn_gets_it_and_then_nothing_of_it_stays()
    {
        var blob = _publisher.Publish("weights", _content);
        var (reader, late) = (_nodes.Lane("reader"), _nodes.Lane("late"));
        using var held = new HeldReader(_publisher, reader, blob, afterChunks: 2);
        held.AwaitHold();

        _publisher.Withdraw(blob);
        Assert.Contains("gone", Assert.ThrowsAny<IOException>(() => LaneNodes.Fetch(late, blob)).Message, StringComparison.Ordinal);
        held.Release();

        await held.Fetch.WaitAsync(LaneNodes.Limit);
        Assert.Equal(_content, held.Bytes);
        Assert.True(SpinWait.SpinUntil(() => _nodes.Blocks().Length == 0, LaneNodes.Limit), string.Join('\n', _nodes.Blocks()));
    }

    [Fact]
    public void What_other_machines_hold_goes_When_the_publisher_withdraws_or_ends()
    {
        var readers = Enumerable.Range(0, 2).Select(i => _nodes.Lane($"machine {i}")).ToArray();
        foreach (var end in (Action<BlobReference>[])[_publisher.Withdraw, _ => _publisher.Dispose()])
        {
            var blob = _publisher.Publish("weights", _content);
            foreach (var reader in readers)
                LaneNodes.Fetch(reader, blob);
            Assert.Equal(3, _nodes.Blocks().Length);
            end(blob);
            Assert.True(SpinWait.SpinUntil(() => _nodes.Blocks().Length == 0, LaneNodes.Limit), string.Join('\n', _nodes.Blocks()));
        }
    }

    [Fact]
    public void A_publisher_that_is_gone_and_one_that_says_nothing_end_a_fetch_with_its_name()
    {
        _nodes.Settings = _nodes.Settings with { Silence = TimeSpan.FromMilliseconds(200) };
        var reader = _nodes.Lane("reader");
        var blob = _publisher.Publish("weights", _content);
        using var silent = new LaneProxy(_publisher.Port) { OnPiece = (_, _, _) => WaitForever() };

        var first = Assert.ThrowsAny<IOException>(() => LaneNodes.Fetch(reader, silent.Instead(blob)));
        _publisher.Dispose();
        var second = Assert.ThrowsAny<IOException>(() => LaneNodes.Fetch(reader, blob));

        Assert.Contains("silent", first.Message, StringComparison.Ordinal);
        Assert.Contains($"127.0.0.1:{_publisher.Port}", second.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_hash_and_a_wrong_size_are_refused()
    {
        var reader = _nodes.Lane("reader");
        var near = _nodes.Lane("publisher");
        var blob = _publisher.Publish("weights", _content);

        foreach (var lane in (NetworkBlobLane[])[reader, near])
        {
            Assert.Throws<ArgumentException>(() => lane.Fetch(blob, new byte[Bytes - 1], CancellationToken.None));
            Assert.Contains("hash", Assert.ThrowsAny<IOException>(() => LaneNodes.Fetch(lane, blob with { Hash = new string('0', 32) })).Message, StringComparison.Ordinal);
            Assert.Equal(_content, LaneNodes.Fetch(lane, blob));
        }
    }

    [Fact]
    public void A_machine_without_room_fetches_all_the_same_and_serves_nobody()
    {
        var blob = _publisher.Publish("weights", _content);
        var (reader, next) = (_nodes.Lane("reader"), _nodes.Lane("next"));
        var folder = Assert.Single(Directory.GetDirectories(_nodes.Folder));
        // Where the file should be there is a folder.
        var place = LaneFolder.SharedIn(folder, "reader", LaneLocation.Parse(blob.Location)!.Block);
        Directory.CreateDirectory(Path.Combine(place, "block", "full"));

        Assert.Equal(_content, LaneNodes.Fetch(reader, blob));
        Assert.Equal(_content, LaneNodes.Fetch(next, blob));

        Assert.Equal(2L * Bytes, _publisher.Counters.Sent);
        Assert.Contains(_nodes.Log.Lines, line => line.Contains("no room", StringComparison.Ordinal));
    }

    private static bool WaitForever()
    {
        new ManualResetEventSlim().Wait(LaneNodes.Limit);
        return true;
    }

    /// <summary>A reader whose bytes from the publisher stop after some chunks until they are released.</summary>
    private sealed class HeldReader : IDisposable
    {
        private readonly ManualResetEventSlim _held = new();
        private readonly ManualResetEventSlim _released = new();
        private readonly LaneProxy _proxy;
        private readonly NetworkBlobLane _reader;
        private readonly long _hold;

        public HeldReader(NetworkBlobLane publisher, NetworkBlobLane reader, BlobReference blob, int afterChunks, CancellationToken cancel = default)
        {
            (_reader, _hold) = (reader, (long)afterChunks * Chunk);
            // Past the frames' heads, and within the next chunk.
            _proxy = new LaneProxy(publisher.Port) { OnPiece = (_, place, _) => Pass(place < _hold + (Chunk / 2)) };
            Fetch = DeviceLeasesTests.OnThread(() => reader.Fetch(_proxy.Instead(blob), Bytes, cancel));
        }

        public byte[] Bytes { get; } = new byte[LaneChainTests.Bytes];

        public Task Fetch { get; }

        public void AwaitHold()
        {
            Assert.True(_held.Wait(LaneNodes.Limit));
            Assert.True(SpinWait.SpinUntil(() => _reader.Counters.Received == _hold, LaneNodes.Limit));
        }

        public void Release() => _released.Set();

        public void Dispose()
        {
            _released.Set();
            _proxy.Dispose();
        }

        private bool Pass(bool isFree)
        {
            if (isFree)
                return true;
            _held.Set();
            return _released.Wait(LaneNodes.Limit);
        }
    }
}
