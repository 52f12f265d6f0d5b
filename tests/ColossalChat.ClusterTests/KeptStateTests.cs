using System.Collections.Concurrent;
using System.IO.Hashing;
using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>States that somebody else keeps and writes: rank processes, as the actors see them.</summary>
[Trait("Category", "CI")]
public sealed class KeptStateTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly StagePlan Plan = RunHarness.OnlinePlan with { Iterations = 8 };
    private readonly string _runFolder = Directory.CreateTempSubdirectory("colossalchat-kept-").FullName;

    public void Dispose() => Directory.Delete(_runFolder, recursive: true);

    // ---- Writing ----

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_kept_state_is_written_by_its_keeper_or_here_when_that_is_gone(bool isGone)
    {
        var kept = Kept("wb", "biases");
        FileStream? hanging = null;
        if (isGone)
            kept.Writing = _ =>
            {
                hanging = new FileStream(kept.DataFile, FileMode.Create, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
                hanging.Write("what a dead keeper left, longer than the state"u8);
                hanging.Flush();
                return null;
            };
        var own = Own("experience");
        var folder = CheckpointWriter.Write(_runFolder, StateOf(("trainers.policy@1", kept), ("experience", own)), keep: 1);

        if (hanging is not null)
        {
            // It was not dead, and comes back.
            hanging.Position = 0;
            hanging.Write("late"u8);
            hanging.Dispose();
        }

        Assert.Equal(1, kept.Writes);
        Assert.Equal("wbbiases"u8, File.ReadAllBytes(Path.Combine(folder, "trainers.policy@1", "state.bin")));
        var image = Checkpoints.Open(folder).State.Images["trainers.policy@1"];
        Assert.Equal(["wb", "biases"], image.TensorNames);
        var bytes = new byte[6];
        image.ReadTensor("biases", bytes);
        Assert.Equal("biases"u8, bytes);
        Assert.Equal("{\"n\": 2}", image.ReadJson("numbers"));
        using var manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "manifest.json")));
        Assert.Equal(
            ["trainers.policy@1/state.bin", "trainers.policy@1/state.json", "experience/state.bin", "experience/state.json"],
            manifest.RootElement.GetProperty("files").EnumerateArray().Select(file => file.GetProperty("path").GetString()));
        using var map = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "trainers.policy@1", "state.json")));
        Assert.Equal([("wb", 0, 2), ("biases", 2, 6)], map.RootElement.GetProperty("tensors").EnumerateArray()
            .Select(tensor => (tensor.GetProperty("name").GetString(), tensor.GetProperty("offset").GetInt32(), tensor.GetProperty("bytes").GetInt32())));
    }

    [Fact]
    public void A_keeper_that_may_never_answer_is_not_asked()
    {
        var (kept, image) = (Kept("wb"), new StateImage("trainers.policy@1"));
        image.Take(kept);
        image.LeaveKeeper();

        var folder = CheckpointWriter.Write(_runFolder, StateOf(("trainers.policy@1", image)), keep: 1);

        Assert.Equal(0, kept.Writes);
        Assert.Equal("wb"u8, File.ReadAllBytes(Path.Combine(folder, "trainers.policy@1", "state.bin")));
        image.Begin();
        image.Take(kept);
        CheckpointWriter.Write(_runFolder, StateOf(("trainers.policy@1", image)), keep: 1);
        Assert.Equal(1, kept.Writes);
        image.Release();
        Assert.True(kept.IsDisposed);
    }

    [Fact]
    public void All_keepers_write_at_the_same_time()
    {
        using var both = new Barrier(2);
        var keepers = new[] { Kept("a"), Kept("b") };
        foreach (var kept in keepers)
            kept.Writing = write => both.SignalAndWait(Limit) ? write() : throw new TimeoutException("The other one did not write.");

        CheckpointWriter.Write(_runFolder, StateOf(("trainers.policy@1", keepers[0]), ("trainers.policy@2", keepers[1])), keep: 1);
    }

    [Fact]
    public void A_failed_write_is_told_when_nobody_writes_any_more_and_has_no_manifest()
    {
        using var hasFailed = new ManualResetEventSlim();
        var (full, slow) = (Kept("a"), Kept("b"));
        full.Writing = _ =>
        {
            hasFailed.Set();
            throw new IOException("rank 1 of policy could not write its shard");
        };
        var isWritten = false;
        slow.Writing = write =>
        {
            Assert.True(hasFailed.Wait(Limit));
            var file = write();
            isWritten = true;
            return file;
        };

        Assert.Contains("rank 1", Assert.Throws<IOException>(() =>
            CheckpointWriter.Write(_runFolder, StateOf(("trainers.policy@1", full), ("trainers.policy@2", slow)), keep: 1)).Message, StringComparison.Ordinal);
        Assert.True(isWritten);
        Assert.Empty(Directory.GetFiles(_runFolder, "manifest.json", SearchOption.AllDirectories));
        Assert.Null(Checkpoints.Latest(_runFolder).Checkpoint);
    }

    // ---- The image ----

    [Fact]
    public void An_image_gives_back_what_it_took_and_lets_go_of_what_is_replaced()
    {
        var image = Own("trainers.policy");
        var (first, second) = (Kept("a"), Kept("b"));
        image.Begin();
        Assert.Null(image.GiveBack());
        image.Take(first);
        image.Begin();
        Assert.Empty(image.TensorNames);
        Assert.Same(first, image.GiveBack());
        image.Take(second);
        Assert.Equal(["b"], image.TensorNames);
        Assert.Equal(["numbers"], image.JsonNames);

        image.Begin();
        image.WriteTensor("own", ElementType.UInt8, [1], [1]);
        image.Begin();
        Assert.True(second.IsDisposed);
        Assert.Null(image.GiveBack());
        Assert.False(first.IsDisposed);
        Assert.Throws<ArgumentException>(() => image.Take(new FakeKept([(new KeptTensor("odd", ElementType.Float32, [2], 4), new byte[4])])));
    }

    [Fact]
    public void An_image_lets_go_of_its_own_memory_when_a_state_is_to_be_taken()
    {
        var image = Own("trainers.policy");
        var memory = image.Data("w");
        image.Begin();
        Assert.Null(image.GiveBack());
        image.WriteTensor("w", ElementType.UInt8, [1], [8]);
        Assert.NotSame(memory, image.Data("w"));
    }

    // ---- Whole runs ----

    [Fact]
    public async Task A_rank_that_dies_costs_neither_its_last_state_nor_the_checkpoint_that_it_writes()
    {
        await using var unbroken = new RunHarness { Plan = Plan, CheckpointEvery = 2, KeepCheckpoints = 100 };
        await unbroken.RunAsync();
        await using var run = new RunHarness { Plan = Plan, CheckpointEvery = 2, KeepCheckpoints = 100 };
        run.Flow = run.Flow with { SafePointShare = 1e6 };
        var ranks = new Elsewhere(run);
        var dead = new ConcurrentDictionary<string, bool>();
        bool KillOnce(string when, string model)
        {
            if (!dead.TryAdd(when, true))
                return false;
            ranks.Kill(model);
            return true;
        }

        ranks.OnWritten = file =>
        {
            if (file.Contains("00000004", StringComparison.Ordinal) && file.Contains("trainers.critic", StringComparison.Ordinal))
                KillOnce("while it writes", "critic");
        };
        run.World.Before = (role, call, _) =>
        {
            if ((role, call) == ("trainers.policy", "finish 1 apply") && run.Reports.Count == 6 && KillOnce("while it trains", "policy"))
                throw new InvalidOperationException("The process is dead and finishes nothing.");
        };

        var end = await run.RunAsync();

        Assert.Null(end.Failure);
        Assert.Equal(2, dead.Count);
        Assert.Equal(2, run.Notes.Count(note => note.Kind == "restart" && note.Message.Contains("is gone", StringComparison.Ordinal)));
        Assert.Equal(unbroken.World.Digest(), run.World.Digest());
        Assert.Equal(Checkpoints.FoldersOf(unbroken.RunFolder).Select(Path.GetFileName), Checkpoints.FoldersOf(run.RunFolder).Select(Path.GetFileName));
        foreach (var folder in Checkpoints.FoldersOf(unbroken.RunFolder))
            foreach (var file in Directory.GetFiles(folder, "state.*", SearchOption.AllDirectories))
                Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(run.RunFolder, Path.GetRelativePath(unbroken.RunFolder, file))));
        await ranks.EndAsync();
        Assert.Empty(Directory.GetFiles(run.RunFolder, ".*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Two_copies_are_enough_for_safe_points_and_checkpoints_and_the_ranks_write_theirs()
    {
        await using var run = new RunHarness { Plan = Plan with { Iterations = 24 }, CheckpointEvery = 3, KeepCheckpoints = 100 };
        run.Flow = run.Flow with { SafePointShare = 1e6 }; // Copies are always due.
        var ranks = new Elsewhere(run);
        var most = 0L;
        run.OnReport = _ => most = Math.Max(most, ranks.Keeping.Held);

        Assert.Null((await run.RunAsync()).Failure);

        const int stateBytes = 2 * 3 * sizeof(float);
        Assert.Equal(2 * 2 * stateBytes, most); // Of two models.
        Assert.Equal(8 * 2, ranks.Written.Count);
        await ranks.EndAsync();
        Assert.Equal(0, ranks.Keeping.Held);
    }

    [Fact]
    public async Task A_disk_that_is_full_for_a_rank_fails_the_run_whose_state_is_then_written_here()
    {
        await using var unbroken = new RunHarness { Plan = Plan };
        await unbroken.RunAsync();
        await using var run = new RunHarness(runFolder: _runFolder) { Plan = Plan, CheckpointEvery = 2 };
        var kept = run.World.OnlineRoles("policy", "critic");
        var writes = 0;
        WrittenFile? Full(Func<WrittenFile> write) =>
            Interlocked.Increment(ref writes) == 1 ? write() : throw new IOException("rank 0 of critic could not write its shard /run: No space left on device.");
        var critic = new TrainerId("critic", 0);
        run.Roles = kept with { Trainers = new Dictionary<TrainerId, Func<long, CancellationToken, ITrainerRole>>(kept.Trainers) { [critic] = (attempt, cancel) => new KeepingTrainer(kept.Trainers[critic](attempt, cancel), Full) } };

        var end = await run.RunAsync();

        Assert.Equal(ExitCode.Resource, end.ExitCode);
        Assert.Contains("The checkpoint of iteration 4 could not be written: rank 0 of critic could not write its shard /run: No space left on device. Make room", end.Failure, StringComparison.Ordinal);
        Assert.True(Checkpoints.IterationOf(end.Checkpoint!) >= 4); // Training goes on while a checkpoint is written.
        Assert.Equal(2, writes);
        Assert.True(Directory.Exists(Path.Combine(_runFolder, "checkpoints", "step-00000002")));
        await using var resumed = new RunHarness(runFolder: _runFolder) { Plan = Plan, ResumeFrom = end.Checkpoint };
        Assert.Null((await resumed.RunAsync()).Failure);
        Assert.Equal(unbroken.World.Digest(), resumed.World.Digest());
    }

    private static RunState StateOf(params (string Role, object State)[] states) => new(3, 1, default, states.ToDictionary(state => state.Role, state =>
    {
        if (state.State is StateImage own)
            return own;
        var image = new StateImage(state.Role);
        image.Take((IKeptState)state.State);
        return image;
    }));

    private static StateImage Own(string role)
    {
        var image = new StateImage(role);
        image.WriteTensor("w", ElementType.UInt8, [1], [7]);
        return image;
    }

    // Each tensor holds its name.
    private static FakeKept Kept(params string[] names) => new([.. names.Select(name =>
        (new KeptTensor(name, ElementType.UInt8, [name.Length], name.Length), name.Select(letter => (byte)letter).ToArray()))]);

    private sealed class FakeKept((KeptTensor Tensor, byte[] Data)[] tensors) : IKeptState
    {
        public int Writes { get; private set; }

        public string DataFile { get; private set; } = "";

        public bool IsDisposed { get; private set; }

        public Func<Func<WrittenFile>, WrittenFile?> Writing { get; set; } = write => write();

        public IReadOnlyList<KeptTensor> Tensors => [.. tensors.Select(entry => entry.Tensor)];

        public IReadOnlyDictionary<string, string> Documents { get; } = new Dictionary<string, string> { ["numbers"] = "{\"n\": 2}" };

        public void Read(KeptTensor tensor, int start, Span<byte> destination) =>
            tensors.First(entry => entry.Tensor == tensor).Data.AsSpan(start, destination.Length).CopyTo(destination);

        public WrittenFile? Write(string dataFile, string indexFile, ReadOnlySpan<byte> index)
        {
            Writes++;
            DataFile = dataFile;
            File.WriteAllBytes(indexFile, index.ToArray());
            return Writing(() =>
            {
                byte[] all = [.. tensors.SelectMany(entry => entry.Data)];
                File.WriteAllBytes(dataFile, all);
                return new WrittenFile(all.Length, Convert.ToHexStringLower(XxHash128.Hash(all)));
            });
        }

        public void Dispose() => IsDisposed = true;
    }

    /// <summary>Hands over copies of its state.</summary>
    private sealed class KeepingTrainer(ITrainerRole inner, Func<Func<WrittenFile>, WrittenFile?> writing) : TrainerAround(inner)
    {
        public override void Capture(IStateWriter writer)
        {
            var taker = (IStateTaker)writer;
            taker.GiveBack()?.Dispose();
            var copy = new StateImage("copy");
            Inner.Capture(copy);
            taker.Take(new FakeKept([.. copy.TensorNames.Select(name =>
            {
                var (type, shape) = copy.Describe(name);
                var data = new byte[copy.Data(name).Length];
                copy.ReadTensor(name, data);
                return (new KeptTensor(name, type, shape, data.Length), data);
            })]) { Writing = writing });
        }
    }

    /// <summary>Puts the trainers of a run to the other end of lines, as processes of their own would have them.</summary>
    private sealed class Elsewhere
    {
        private readonly InProcessPeerLinks _links = new();
        private readonly ConcurrentBag<(string Model, IPeerGroup End)> _ends = [];
        private readonly ConcurrentBag<Task> _servers = [];

        public Elsewhere(RunHarness run)
        {
            Keeping = new StateKeeping(long.MaxValue, note =>
            {
                Written.Enqueue(note);
                OnWritten(note);
            });
            var roles = run.World.OnlineRoles("policy", "critic");
            run.Roles = roles with
            {
                Trainers = roles.Trainers.ToDictionary(maker => maker.Key, maker => (Func<long, CancellationToken, ITrainerRole>)((attempt, cancel) =>
                {
                    var rank = new RemoteRank(maker.Key.Model, maker.Key.Rank, attempt);
                    var served = new Watched(_links, end => _ends.Add((rank.Model, end)));
                    _servers.Add(Task.Factory.StartNew(
                        () => RemoteTrainers.Serve(served, rank, stop => maker.Value(attempt, stop), Keeping, Limit), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default));
                    return RemoteTrainers.Connect(_links, rank, run.RunFolder, Limit, () => { }, cancel);
                })),
            };
        }

        public StateKeeping Keeping { get; }

        public ConcurrentQueue<string> Written { get; } = [];

        public Action<string> OnWritten { get; set; } = _ => { };

        /// <summary>What others see when a model's process is killed.</summary>
        public void Kill(string model)
        {
            foreach (var (_, end) in _ends.Where(end => end.Model == model))
                end.Dispose();
        }

        public Task EndAsync() => Task.WhenAll(_servers).WaitAsync(Limit);
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
}
