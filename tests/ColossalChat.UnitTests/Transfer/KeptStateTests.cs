using System.IO.Hashing;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

/// <summary>Copies of a rank's state that its process keeps and writes.</summary>
[Trait("Category", "CI")]
public sealed class KeptStateTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private readonly string _folder = Directory.CreateTempSubdirectory("colossalchat-states-").FullName;
    private readonly string _shard;

    public KeptStateTests()
    {
        _shard = Path.Combine(_folder, "step", "trainers.policy@1");
        Directory.CreateDirectory(_shard);
    }

    private string DataFile => Path.Combine(_shard, "state.bin");

    private string IndexFile => Path.Combine(_shard, "state.json");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("in-process")]
    [InlineData("directory")]
    public async Task The_ranks_process_keeps_the_state_and_writes_it(string kind)
    {
        using var meeting = new MeetingPlace(kind);
        await using var there = new Rank(meeting.Links, _folder) { Role = { State = [("a", 100_000), ("empty", 0), ("b", 3_000_000)] } };
        var before = MeetingPlace.Segments();
        var taker = new Taker();
        there.Trainer.Capture(taker);

        Assert.Equal(["a", "empty", "b"], taker.Kept!.Tensors.Select(tensor => tensor.Name));
        Assert.Equal("{\"x\":1}", taker.Kept.Documents["numbers"]);
        Assert.Equal(there.Role.Bytes, taker.Bytes());
        var written = taker.Kept.Write(DataFile, IndexFile, "[7]"u8);
        Assert.Equal(there.Role.Bytes, File.ReadAllBytes(DataFile));
        Assert.Equal("[7]", File.ReadAllText(IndexFile));
        Assert.Equal(new WrittenFile(3_100_000, Convert.ToHexStringLower(XxHash128.Hash(there.Role.Bytes))), written);
        Assert.Equal([$"rank 1 of policy wrote {DataFile}, 3100000 bytes."], there.Notes);

        Assert.True(MeetingPlace.NothingStays(before));
        Assert.Empty(meeting.LeftBehind);
        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Fact]
    public async Task A_shard_is_written_while_the_rank_trains()
    {
        await using var there = new Rank(new InProcessPeerLinks(), _folder);
        var taker = new Taker();
        there.Trainer.Capture(taker);
        var training = Task.Run(() => there.Trainer.Compute(0, CancellationToken.None));
        Assert.True(there.Role.IsComputing.Wait(Limit));

        Assert.NotNull(taker.Kept!.Write(DataFile, IndexFile, []));
        Assert.False(training.IsCompleted);
        there.Role.MayEnd.Set();
        Assert.True(await training.WaitAsync(Limit));
    }

    [Fact]
    public async Task A_state_outlives_its_rank_and_is_then_written_by_whoever_wants_it()
    {
        await using var there = new Rank(new InProcessPeerLinks(), _folder);
        var taker = new Taker();
        there.Trainer.Capture(taker);
        there.Die();

        Assert.Null(taker.Kept!.Write(DataFile, IndexFile, []));
        Assert.Equal(there.Role.Bytes, taker.Bytes());
        Assert.Throws<IOException>(() => there.Trainer.End());
    }

    [Fact]
    public async Task A_rank_that_dies_while_it_writes_has_written_nothing()
    {
        await using var there = new Rank(new InProcessPeerLinks(), _folder);
        var taker = new Taker();
        there.Trainer.Capture(taker);
        there.OnNote = there.Die;

        Assert.Null(taker.Kept!.Write(DataFile, IndexFile, []));
        Assert.Equal(there.Role.Bytes, taker.Bytes());
    }

    [Fact]
    public async Task A_rank_that_is_given_up_while_it_writes_ends_its_shard_first()
    {
        await using var there = new Rank(new InProcessPeerLinks(), _folder);
        var taker = new Taker();
        there.Trainer.Capture(taker);
        there.OnNote = () =>
        {
            there.Trainer.Dispose();
            Assert.True(there.Role.IsDisposed.Wait(Limit));
            Assert.False(there.HasEnded);
        };

        Assert.NotNull(taker.Kept!.Write(DataFile, IndexFile, []));
        Assert.True(there.HasEnded);
        Assert.Null(taker.Kept.Write(DataFile, IndexFile, []));
    }

    [Fact]
    public async Task A_process_that_hangs_while_it_writes_is_waited_for_no_longer_than_a_grace()
    {
        var links = new InProcessPeerLinks();
        var hanging = Task.Run(() => RoleLine.Meet(links, "shards", isCaller: false, Limit));
        var hasEnded = 0;
        var shards = new ShardLine(RoleLine.Meet(links, "shards", isCaller: true, Limit), "rank 1 of policy", () => hasEnded++, TimeSpan.FromMilliseconds(50));
        using var line = await hanging;
        var write = Task.Run(() => shards.Write(1, DataFile, IndexFile, []));
        line.Receive();

        shards.GiveUp();
        shards.GiveUp();
        Assert.Null(await write.WaitAsync(Limit));
        Assert.Equal(1, hasEnded);
        Assert.NotNull(line.BrokenBy);
    }

    [Fact]
    public async Task A_process_that_gives_signs_is_waited_for_and_one_that_falls_silent_is_not()
    {
        var (links, silence) = (new InProcessPeerLinks(), TimeSpan.FromSeconds(1.2));
        var meeting = Task.Run(() => RoleLine.Meet(links, "shards", isCaller: false, Limit));
        var shards = new ShardLine(RoleLine.Meet(links, "shards", isCaller: true, Limit), "rank 1 of policy", () => { }, silence: silence);
        using var line = await meeting;
        var write = Task.Run(() => shards.Write(1, DataFile, IndexFile, []));
        line.Receive();
        for (var signs = 0; signs < 6; signs++)
        {
            await Assert.ThrowsAsync<TimeoutException>(() => write.WaitAsync(silence / 4));
            line.Send(RoleFrame.Busy, []);
        }

        Assert.Null(await write.WaitAsync(Limit));
        Assert.Contains("gave no sign", line.BrokenBy, StringComparison.Ordinal);
        shards.GiveUp();
    }

    [Fact]
    public void A_state_that_nobody_wants_any_more_is_not_written_on()
    {
        using var state = new CapturedState(StateFiles.Create(_folder, out var names), new StateKeeping(long.MaxValue, _ => { }));
        StateFiles.Forget(names);
        state.WriteTensor("w", ElementType.UInt8, [3_000_000], new byte[3_000_000]);
        var pieces = 0;

        Assert.Throws<IOException>(() => state.WriteTo(DataFile, () =>
        {
            if (++pieces == 2)
                throw new IOException("gone");
        }));
        Assert.Equal(1 << 20, new FileInfo(DataFile).Length);
    }

    [Fact]
    public async Task Two_copies_take_turns_and_take_no_more_room_with_time()
    {
        await using var there = new Rank(new InProcessPeerLinks(), _folder) { Role = { State = [("a", 500_000), ("b", 10)] } };
        var takers = new[] { new Taker(), new Taker() };
        var copies = new HashSet<IKeptState>(ReferenceEqualityComparer.Instance);
        for (var time = 0; time < 7; time++)
        {
            there.Role.Seed = (byte)time;
            there.Trainer.Capture(takers[time % 2]);
            copies.Add(takers[time % 2].Kept!);
            Assert.Equal(Math.Min(time + 1, 2) * 500_010, there.Keeping.Held);
            Assert.Equal(there.Role.Bytes, takers[time % 2].Bytes());
        }

        Assert.Equal(2, copies.Count);
        there.Role.Seed = 5;
        Assert.Equal(there.Role.Bytes, takers[1].Bytes());
        // Larger, smaller, and other tensors: the same room, as much as it takes.
        foreach (var state in new (string, int)[][] { [("a", 900_000)], [("c", 70_000), ("d", 5)], [("a", 500_000), ("b", 10)] })
        {
            there.Role.State = state;
            there.Trainer.Capture(takers[0]);
            Assert.Equal(500_010 + there.Role.Bytes.Length, there.Keeping.Held);
            Assert.Equal(there.Role.Bytes, takers[0].Bytes());
        }

        takers[1].Kept!.Dispose();
        there.Trainer.Capture(takers[0]);
        Assert.Equal(500_010, there.Keeping.Held);
    }

    [Fact]
    public async Task A_copy_of_another_process_is_let_go()
    {
        var taker = new Taker();
        await using (var dead = new Rank(new InProcessPeerLinks(), _folder))
            dead.Trainer.Capture(taker);
        var old = taker.Kept!;
        await using var there = new Rank(new InProcessPeerLinks(), _folder) { Role = { Seed = 9 } };
        there.Trainer.Capture(taker);

        Assert.Equal(there.Role.Bytes, taker.Bytes());
        Assert.NotSame(old, taker.Kept);
        Assert.Throws<ObjectDisposedException>(() => old.Read(old.Tensors[0], 0, new byte[1]));
    }

    [Fact]
    public async Task What_is_too_much_for_memory_goes_to_the_folder()
    {
        await using var there = new Rank(new InProcessPeerLinks(), _folder, mostMemory: 0) { Role = { State = [("a", 100), ("b", 1_000_000), ("c", 200)] } };
        var taker = new Taker();
        for (var time = 0; time < 2; time++)
        {
            there.Role.Seed++;
            there.Trainer.Capture(taker);
            Assert.Equal(300, there.Keeping.Held);
            Assert.Equal(there.Role.Bytes, taker.Bytes());
            Assert.Equal(1_000_300, taker.Kept!.Write(DataFile, IndexFile, [])!.Bytes);
            Assert.Equal(there.Role.Bytes, File.ReadAllBytes(DataFile));
            Assert.Empty(Directory.GetFiles(_folder));
        }
    }

    [Fact]
    public async Task A_full_disk_is_told_with_the_rank_and_the_folder()
    {
        if (!OperatingSystem.IsLinux())
            return; // Nothing else has a disk that is always full.
        await using var there = new Rank(new InProcessPeerLinks(), _folder);
        var taker = new Taker();
        there.Trainer.Capture(taker);
        File.CreateSymbolicLink(DataFile, "/dev/full");

        var error = Assert.ThrowsAny<IOException>(() => taker.Kept!.Write(DataFile, IndexFile, []));
        Assert.Contains($"rank 1 of policy could not write its shard {_shard}: No space left on device", error.Message, StringComparison.Ordinal);
        File.Delete(DataFile);
        Assert.NotNull(taker.Kept!.Write(DataFile, IndexFile, []));
    }

    [Fact]
    public async Task A_capture_that_fails_leaves_nothing()
    {
        var before = MeetingPlace.Segments();
        await using var there = new Rank(new InProcessPeerLinks(), _folder) { Role = { State = [("a", 10), ("a", 10)] } };
        Assert.Contains("two tensors named 'a'", Assert.Throws<RankFailedException>(() => there.Trainer.Capture(new Taker())).Message, StringComparison.Ordinal);
        there.Role.State = [("a", 10)];
        var taker = new Taker();
        there.Trainer.Capture(taker);
        Assert.Equal(10, there.Keeping.Held);

        there.Die();
        Assert.Throws<IOException>(() => there.Trainer.Capture(new Taker()));
        Assert.True(MeetingPlace.NothingStays(before));
        Assert.Empty(Directory.GetFiles(_folder));
    }

    /// <summary>A rank that is served on another thread, and its trainer here.</summary>
    private sealed class Rank : IAsyncDisposable
    {
        private readonly List<IPeerGroup> _ends = [];
        private readonly CountdownEvent _missingEnds = new(2);
        private readonly Task _server;

        public Rank(PeerLinks links, string folder, long mostMemory = long.MaxValue)
        {
            Keeping = new StateKeeping(mostMemory, note =>
            {
                Notes.Add(note);
                OnNote();
            });
            var rank = new RemoteRank("policy", 1, 3);
            _server = Task.Factory.StartNew(
                () => RemoteTrainers.Serve(new Watched(links, Join), rank, _ => Role, Keeping, Limit), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            Trainer = RemoteTrainers.Connect(links, rank, folder, Limit, () => HasEnded = true);
        }

        public StateKeeping Keeping { get; }

        public List<string> Notes { get; } = [];

        public Action OnNote { get; set; } = () => { };

        public StateRole Role { get; } = new();

        public ITrainerRole Trainer { get; }

        public bool HasEnded { get; private set; }

        /// <summary>What the other side sees when the process is killed.</summary>
        public void Die()
        {
            // The line of the calls and that of the shards; the latter is joined on a thread of its own.
            Assert.True(_missingEnds.Wait(Limit));
            lock (_ends)
                _ends.ForEach(end => end.Dispose());
        }

        public async ValueTask DisposeAsync()
        {
            if (!HasEnded)
                Trainer.Dispose();
            await _server.WaitAsync(Limit);
            Assert.Equal(0, Keeping.Held);
            _missingEnds.Dispose();
        }

        private void Join(IPeerGroup end)
        {
            lock (_ends)
                _ends.Add(end);
            _missingEnds.Signal();
        }
    }

    private sealed class Watched(PeerLinks links, Action<IPeerGroup> joined) : PeerLinks
    {
        public override IPeerGroup Join(RankPlace place, TimeSpan deadline, CancellationToken cancel)
        {
            var group = links.Join(place, deadline, cancel);
            joined(group);
            return group;
        }
    }

    private sealed class Taker : IStateTaker
    {
        public IKeptState? Kept { get; private set; }

        public IKeptState? GiveBack()
        {
            var kept = Kept;
            Kept = null;
            return kept;
        }

        public void Take(IKeptState state) => Kept = state;

        public void WriteTensor(string name, ElementType type, ReadOnlySpan<long> shape, ReadOnlySpan<byte> data) => Assert.Fail("It takes states over.");

        public void WriteJson(string name, string json) => Assert.Fail("It takes states over.");

        /// <summary>All tensors, back to back, each read in two parts.</summary>
        public byte[] Bytes() => [.. Kept!.Tensors.SelectMany(tensor =>
        {
            var data = new byte[tensor.Bytes];
            var cut = tensor.Bytes / 3;
            Kept.Read(tensor, 0, data.AsSpan(0, cut));
            Kept.Read(tensor, cut, data.AsSpan(cut));
            return data;
        })];
    }

    private sealed class StateRole : ITrainerRole
    {
        public (string Name, int Bytes)[] State { get; set; } = [("w", 70_000)];

        public byte Seed { get; set; }

        public ManualResetEventSlim IsComputing { get; } = new();

        public ManualResetEventSlim MayEnd { get; } = new();

        public ManualResetEventSlim IsDisposed { get; } = new();

        public string Model => "policy";

        /// <summary>All tensors, back to back.</summary>
        public byte[] Bytes => [.. State.SelectMany(Content)];

        public int Begin(TrainRequest request) => 1;

        public bool Compute(int step, CancellationToken cancel)
        {
            IsComputing.Set();
            return MayEnd.Wait(Limit, cancel);
        }

        public void Finish(int step, bool apply) => Assert.Fail("Nobody asked.");

        public IReadOnlyDictionary<string, double> End() => new Dictionary<string, double>();

        public IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel) => End();

        public WeightsPublication Publish(long epoch, long version, CancellationToken cancel) => new(Model, epoch, version, "", null);

        public void Export(string folder) => Assert.Fail("Nobody asked.");

        public void Capture(IStateWriter writer)
        {
            foreach (var tensor in State)
                writer.WriteTensor(tensor.Name, ElementType.UInt8, [tensor.Bytes], Content(tensor));
            writer.WriteJson("numbers", "{\"x\":1}");
        }

        public void Restore(IStateReader reader) => Assert.Fail("Nobody asked.");

        public void Dispose() => IsDisposed.Set();

        private byte[] Content((string Name, int Bytes) tensor) => [.. Enumerable.Range(0, tensor.Bytes).Select(i => (byte)((i * 7) + (i >> 8) + tensor.Name[0] + Seed))];
    }
}
