using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.UnitTests.Transfer;

/// <summary>A trainer at the other end of a line does what it would do here.</summary>
[Trait("Category", "CI")]
public sealed class RemoteTrainersTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private static readonly RemoteRank Rank = new("policy", 1, 3);
    private static readonly StateKeeping Keeping = new(long.MaxValue, _ => { });
    private readonly string _folder = Directory.CreateTempSubdirectory("colossalchat-states-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Every_call_arrives_with_its_arguments_and_comes_back_with_its_result()
    {
        var role = new EchoTrainer();
        await With(role, trainer =>
        {
            Assert.Equal("policy", trainer.Model);
            Assert.Equal(7, trainer.Begin(new TrainRequest(4, 9, Rows(2)) { MostRows = 5, GroupTargetTokens = 6 }));
            Assert.True(trainer.Compute(2, CancellationToken.None));
            Assert.False(trainer.Compute(3, CancellationToken.None));
            trainer.Finish(3, apply: true);
            Assert.Equal(new Dictionary<string, double> { ["a/b"] = 1.5, ["nan"] = double.NaN }, trainer.End());
            Assert.Equal(2, trainer.Evaluate([Rows(1), Rows(3)], CancellationToken.None)["batches"]);
            Assert.Equal(8, trainer.Publish(5, 8, CancellationToken.None).Version);
            trainer.Export("some/folder");
        });
        Assert.Equal(
            ["begin 4/9 5 6 [1 2 3] TFT 0.5", "compute 2", "compute 3", "finish 3 True", "end", "evaluate 1 3", "publish 5 8", "export some/folder", "dispose"], role.Calls);
    }

    [Fact]
    public async Task State_goes_there_and_back()
    {
        var role = new EchoTrainer();
        var image = new StateImage("trainers.policy@1");
        await With(role, trainer =>
        {
            trainer.Capture(image);
            trainer.Restore(image);
            var missing = Assert.Throws<UserErrorException>(() => trainer.Restore(new StateImage("trainers.policy@1")));
            Assert.Contains("document", missing.Message, StringComparison.Ordinal);
        });
        Assert.Equal(["empty", "w"], image.TensorNames.Order());
        Assert.Equal([2L, 3], image.Describe("w").Shape);
        Assert.Equal("restored 6 {\"x\":1}", role.Calls[1]);
    }

    [Fact]
    public async Task A_failure_comes_back_as_what_it_is()
    {
        var role = new EchoTrainer();
        await With(role, trainer =>
        {
            role.Fails = new UserErrorException("No such file.", ExitCode.NotFound);
            Assert.Equal(ExitCode.NotFound, Assert.Throws<UserErrorException>(() => trainer.End()).ExitCode);
            role.Fails = new InvalidOperationException("odd");
            Assert.Equal("rank 1 of policy: InvalidOperationException: odd", Assert.Throws<RankFailedException>(() => trainer.End()).Message);
            role.Fails = null;
            _ = trainer.End();
        });
    }

    [Fact]
    public async Task A_cancelled_call_ends_at_both_ends()
    {
        var role = new EchoTrainer { WaitsForCancel = true };
        await With(role, trainer =>
        {
            using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
            Assert.ThrowsAny<OperationCanceledException>(() => trainer.Compute(0, cancel.Token));
        });
        Assert.Equal(["compute 0", "cancelled", "dispose"], role.Calls);
    }

    [Fact]
    public async Task A_role_that_cannot_be_made_says_why()
    {
        var links = new InProcessPeerLinks();
        var server = Task.Run(() => RemoteTrainers.Serve(links, Rank, _ => throw new UserErrorException("There is no model."), Keeping, Limit));
        Assert.Equal("There is no model.", Assert.Throws<UserErrorException>(() => RemoteTrainers.Connect(links, Rank, _folder, Limit, () => { })).Message);
        await server.WaitAsync(Limit);
    }

    [Fact]
    public async Task A_caller_that_left_as_they_met_may_come_again()
    {
        var links = new InProcessPeerLinks();
        var role = new EchoTrainer();
        var server = Task.Run(() => RemoteTrainers.Serve(links, Rank, _ => role, Keeping, Limit));
        for (var time = 0; time < 3; time++)
            links.Join(new RankPlace("policy@1.3.calls", 0, 2), Limit).Dispose();
        using (var trainer = RemoteTrainers.Connect(links, Rank, _folder, Limit, () => { }))
            trainer.Finish(0, apply: true);
        await server.WaitAsync(Limit);
        Assert.Equal(["finish 0 True", "dispose"], role.Calls);
    }

    [Fact]
    public async Task A_role_in_the_making_ends_with_the_wait_for_it()
    {
        var links = new InProcessPeerLinks();
        var server = Task.Run(() => RemoteTrainers.Serve(links, Rank, cancel =>
        {
            links.Until(cancel).Join(new RankPlace("policy", 1, 2), TimeSpan.FromMinutes(10)).Dispose();
            return new EchoTrainer();
        }, Keeping, Limit));
        using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        Assert.ThrowsAny<OperationCanceledException>(() => RemoteTrainers.Connect(links, Rank, _folder, Limit, () => { }, cancel.Token));
        await server.WaitAsync(Limit);
    }

    private async Task With(EchoTrainer role, Action<ITrainerRole> use)
    {
        var links = new InProcessPeerLinks();
        var server = Task.Run(() => RemoteTrainers.Serve(links, Rank, _ => role, Keeping, Limit));
        var hasEnded = false;
        using (var trainer = RemoteTrainers.Connect(links, Rank, _folder, Limit, () => hasEnded = true))
            use(trainer);
        await server.WaitAsync(Limit);
        Assert.True(hasEnded);
    }

    private static Experience Rows(int rows) => new(
        Ragged.FromRows(Enumerable.Repeat(new[] { 1, 2, 3 }, rows)),
        Ragged.FromRows(Enumerable.Repeat(new[] { true, false, true }, rows)),
        new Dictionary<string, Ragged<float>> { [ExperienceColumns.Temperature] = Ragged.Scalars<float>(Enumerable.Repeat(0.5f, rows).ToArray()) });

    private sealed class EchoTrainer : ITrainerRole
    {
        public List<string> Calls { get; } = [];

        public Exception? Fails { get; set; }

        public bool WaitsForCancel { get; init; }

        public string Model => "policy";

        public int Begin(TrainRequest request)
        {
            var experience = request.Experience;
            Calls.Add($"begin {request.Iteration}/{request.Iterations} {request.MostRows} {request.GroupTargetTokens} [{string.Join(' ', experience.Tokens[1].ToArray())}] "
                + $"{string.Concat(experience.IsTarget[0].ToArray().Select(isTarget => isTarget ? 'T' : 'F'))} {experience.Columns[ExperienceColumns.Temperature].Values.Span[1]}");
            return 7;
        }

        public bool Compute(int step, CancellationToken cancel)
        {
            Calls.Add($"compute {step}");
            if (!WaitsForCancel)
                return step == 2;
            cancel.WaitHandle.WaitOne(Limit);
            Calls.Add(cancel.IsCancellationRequested ? "cancelled" : "forgotten");
            throw new OperationCanceledException(cancel);
        }

        public void Finish(int step, bool apply) => Calls.Add($"finish {step} {apply}");

        public IReadOnlyDictionary<string, double> End()
        {
            Calls.Add("end");
            return Fails is null ? new Dictionary<string, double> { ["a/b"] = 1.5, ["nan"] = double.NaN } : throw Fails;
        }

        public IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel)
        {
            Calls.Add($"evaluate {string.Join(' ', heldOut.Select(batch => batch.Rows))}");
            return new Dictionary<string, double> { ["batches"] = heldOut.Count };
        }

        public WeightsPublication Publish(long epoch, long version, CancellationToken cancel)
        {
            Calls.Add($"publish {epoch} {version}");
            return new WeightsPublication(Model, epoch, version, "hash", null);
        }

        public void Export(string folder) => Calls.Add($"export {folder}");

        public void Capture(IStateWriter writer)
        {
            Calls.Add("capture");
            writer.WriteTensor("w", ElementType.UInt8, [2, 3], new byte[] { 1, 2, 3, 4, 5, 6 });
            writer.WriteTensor("empty", ElementType.Float32, [0], default);
            writer.WriteJson("numbers", "{\"x\":1}");
        }

        public void Restore(IStateReader reader)
        {
            var json = reader.ReadJson("numbers");
            var data = new byte[reader.Describe("w").Shape.Aggregate(1, (product, size) => product * (int)size)];
            reader.ReadTensor("w", data);
            Calls.Add($"restored {data[^1]} {json}");
        }

        public void Dispose() => Calls.Add("dispose");
    }
}
