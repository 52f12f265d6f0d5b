using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using Xunit;

namespace ColossalChat.Cluster.Tests;

/// <summary>The flow with several ranks of a model: all of them are called alike, rank 0 speaks for them.</summary>
[Trait("Category", "CI")]
public sealed class RankTests
{
    [Fact]
    public async Task Every_rank_makes_every_call_in_the_same_order()
    {
        await using var run = new RunHarness { Plan = RunHarness.OfflinePlan with { EvaluateEvery = 2 }, CheckpointEvery = 2 };
        var ranks = new Ranks(run, 3);
        Assert.Equal(ExitCode.Ok, (await run.RunAsync()).ExitCode);

        Assert.Equal(ranks.Calls[0], ranks.Calls[1]);
        Assert.Equal(ranks.Calls[0], ranks.Calls[2]);
        Assert.Contains("evaluate", ranks.Calls[0]);
        Assert.Equal("export", ranks.Calls[0].Last());
        var trained = run.Reports.First(report => report.Purpose == BatchPurpose.Train).Metrics;
        Assert.Equal(0, trained["policy/rank"]);
        Assert.Equal(1 + 2 + 3, trained["perf/tflops"]);
    }

    [Fact]
    public async Task The_largest_share_and_the_whole_windows_targets_are_told_to_all()
    {
        await using var run = new RunHarness { Plan = RunHarness.OfflinePlan };
        var ranks = new Ranks(run, 2);
        await run.RunAsync();
        Assert.All(ranks.Requests, request => Assert.Equal((2, 6L), (request.MostRows, request.GroupTargetTokens)));
    }

    [Fact]
    public async Task A_state_is_that_of_all_ranks_whoever_reads_it()
    {
        await using var run = new RunHarness { Plan = RunHarness.OfflinePlan, CheckpointEvery = 1, MaxIterations = 2 };
        _ = new Ranks(run, 3);
        var end = await run.RunAsync();
        Assert.Equal(["batches", "trainers.policy", "trainers.policy@1", "trainers.policy@2"], Directory.GetDirectories(end.Checkpoint!).Select(Path.GetFileName).Order());

        await using var other = new RunHarness(runFolder: run.RunFolder) { Plan = RunHarness.OfflinePlan, ResumeFrom = end.Checkpoint };
        var ranks = new Ranks(other, 2);
        Assert.Equal(ExitCode.Ok, (await other.RunAsync()).ExitCode);
        Assert.Equal([0, 1, 2], ranks.Restored[0]);
        Assert.Equal([0, 1, 2], ranks.Restored[1]);
    }

    [Fact]
    public async Task A_rank_that_is_missing_is_named()
    {
        await using var run = new RunHarness { Plan = RunHarness.OfflinePlan };
        _ = new Ranks(run, 2);
        run.Roles = run.Roles! with { Trainers = new Dictionary<TrainerId, Func<long, CancellationToken, ITrainerRole>> { [new("policy", 1)] = run.Roles.Trainers[new("policy", 1)] } };
        Assert.Contains("trainers.policy", (await Assert.ThrowsAsync<UserErrorException>(() => run.RunAsync())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rank_that_cannot_be_made_does_not_keep_the_others_waiting()
    {
        await using var run = new RunHarness { Plan = RunHarness.OfflinePlan };
        _ = new Ranks(run, 2);
        run.Flow = run.Flow with { CancelGrace = TimeSpan.FromSeconds(5) };
        var (links, made) = (new InProcessPeerLinks(), run.Roles!.Trainers);
        run.Roles = run.Roles with
        {
            Trainers = made.ToDictionary(maker => maker.Key, maker => (Func<long, CancellationToken, ITrainerRole>)((attempt, cancel) =>
            {
                if (attempt == 1 && maker.Key.Rank == 1)
                    throw new InvalidOperationException("no memory");
                links.Until(cancel).Join(new RankPlace($"policy.{attempt}", maker.Key.Rank, 2), TimeSpan.FromMinutes(10)).Dispose();
                return maker.Value(attempt, cancel);
            })),
        };

        Assert.Null((await run.RunAsync()).Failure);
        Assert.Contains("no memory", Assert.Single(run.Notes, note => note.Kind == "restart").Message, StringComparison.Ordinal);
    }

    private sealed class Ranks
    {
        public Ranks(RunHarness run, int ranks)
        {
            Calls = [.. Enumerable.Range(0, ranks).Select(_ => new ConcurrentQueue<string>())];
            Restored = [.. Enumerable.Range(0, ranks).Select(_ => (IReadOnlyList<int>)[])];
            run.Roles = run.World.OfflineRoles() with
            {
                Trainers = Enumerable.Range(0, ranks).ToDictionary(
                    rank => new TrainerId("policy", rank), rank => (Func<long, CancellationToken, ITrainerRole>)((_, _) => new RankTrainer(this, rank))),
            };
        }

        public ConcurrentQueue<string>[] Calls { get; }

        public IReadOnlyList<int>[] Restored { get; }

        public ConcurrentBag<TrainRequest> Requests { get; } = [];
    }

    private sealed class RankTrainer(Ranks ranks, int rank) : ITrainerRole
    {
        public string Model => "policy";

        public int Begin(TrainRequest request)
        {
            ranks.Requests.Add(request);
            Note($"begin {request.Iteration}");
            return 2;
        }

        public bool Compute(int step, CancellationToken cancel)
        {
            Note($"compute {step}");
            return true;
        }

        public void Finish(int step, bool apply) => Note($"finish {step} {apply}");

        public IReadOnlyDictionary<string, double> End()
        {
            Note("end");
            return new Dictionary<string, double> { ["policy/rank"] = rank, ["perf/tflops"] = rank + 1 };
        }

        public IReadOnlyDictionary<string, double> Evaluate(IReadOnlyList<Experience> heldOut, CancellationToken cancel)
        {
            Note("evaluate");
            return new Dictionary<string, double> { ["eval/rank"] = rank };
        }

        public WeightsPublication Publish(long epoch, long version, CancellationToken cancel)
        {
            Note($"publish {version}");
            return new WeightsPublication(Model, epoch, version, "", null);
        }

        public void Export(string folder) => Note("export");

        public void Capture(IStateWriter writer)
        {
            Note("capture");
            writer.WriteTensor($"part@{rank}", ElementType.Int32, [1], MemoryMarshal.AsBytes<int>([rank]));
        }

        public void Restore(IStateReader reader)
        {
            var parts = new List<int>();
            foreach (var name in reader.TensorNames.Order(StringComparer.Ordinal))
            {
                var value = new int[1];
                reader.ReadTensor(name, MemoryMarshal.AsBytes(value.AsSpan()));
                parts.Add(value[0]);
            }

            ranks.Restored[rank] = parts;
        }

        public void Dispose()
        {
            // It holds nothing.
        }

        private void Note(string call) => ranks.Calls[rank].Enqueue(call);
    }
}
