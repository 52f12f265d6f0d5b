using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Akka.Actor;
using Akka.Configuration;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Transfer;
using AkkaCluster = Akka.Cluster.Cluster;

namespace ColossalChat.Benchmarks;

/// <summary>
/// What a batch costs the coordinator: real coordinator, wire and node actors, with role actors in another process that
/// answer at once. The first iterations warm up; the others are measured by the processor time of the coordinator's process.
/// </summary>
internal static class ScaleBenchmark
{
    private const int WarmUp = 2;
    private const int Iterations = 8;
    private const int Batches = 4000;
    private const int AskedPerSecond = 2000;

    /// <summary>Measures each number of role actors and prints one JSON document.</summary>
    public static int Run(IReadOnlyList<int> counts)
    {
        var results = counts.Select(Measure).ToArray();
        Console.WriteLine(JsonSerializer.Serialize(new Dictionary<string, object>
        {
            ["asked_batches_per_s"] = AskedPerSecond,
            ["results"] = results,
        }));
        return 0;
    }

    /// <summary>Hosts the role actors of one measurement until the run has ended.</summary>
    public static int Host(string seed, int count)
    {
        var over = new ManualResetEventSlim();
        using var system = Start();
        var node = new NodeDefinition
        {
            Card = Card("roles", ["rollout", "reference", "critic", "reward", "trainer"]),
            FreePort = () => 1,
            Run = Definition(Path.GetTempPath(), count) with { Parcels = new ParcelPost(system, new InProcessBlobLane()) },
            MeetAt = _ => { },
            Ended = _ => over.Set(),
        };
        RunNodes.Start(system, node, null, [seed]);
        over.Wait();
        return 0;
    }

    private static Dictionary<string, double> Measure(int count)
    {
        var folder = Directory.CreateTempSubdirectory("colossalchat-scale-").FullName;
        var ended = new ManualResetEventSlim();
        using var system = Start();
        var (watch, card) = (new Watch(), Card("leader", [RunNodes.CoordinatorRole]));
        var run = Definition(folder, count) with { Parcels = new ParcelPost(system, new InProcessBlobLane()), Observer = watch };
        var node = new NodeDefinition { Card = card, FreePort = () => card.MeetPort, Run = run, MeetAt = _ => { }, Ended = _ => ended.Set() };
        var coordinator = new CoordinatorDefinition
        {
            Cluster = Options(count),
            Card = card,
            Term = new CoordinatorTerm(folder, card.Name),
            Mark = "",
            Abandon = reason => watch.Failure = reason,
            Open = () => new LedRun(run, end => watch.Failure = end?.Failure),
        };
        var seed = AkkaCluster.Get(system).SelfAddress.ToString();
        RunNodes.Start(system, node, coordinator, []);
        using var roles = Process.Start(new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "ColossalChat.Benchmarks"), ["scale-node", seed, count.ToString(CultureInfo.InvariantCulture)]))!;
        ended.Wait();
        roles.WaitForExit();
        Directory.Delete(folder, recursive: true);
        return watch.Failure is { } failure ? throw new InvalidOperationException(failure) : watch.Result(count);
    }

    private static ActorSystem Start() => ActorSystem.Create("scale", ConfigurationFactory.ParseString(WireHocon.Text)
        .WithFallback(ConfigurationFactory.ParseString("akka { loglevel = ERROR, stdout-loglevel = OFF, cluster.roles = [coordinator] }"))
        .WithFallback(ConfigurationFactory.ParseString(NodeHocon.Settings))
        .WithFallback(ConfigurationFactory.ParseString(RunHocon.Dispatchers)));

    private static ClusterOptions Options(int count) => new()
    {
        Roles = new[] { "rollout", "reference", "critic", "reward" }.ToDictionary(role => role, _ => new RoleNodes { PerNode = Math.Max(1, count / 4) }),
    };

    private static NodeCard Card(string name, IReadOnlyList<string> roles) =>
        new(name, roles, "machine", "127.0.0.1", 0, "same", new Dictionary<string, string>(), DateTimeOffset.UtcNow);

    private static RunDefinition Definition(string folder, int count) => new()
    {
        Plan = new StagePlan
        {
            Flow = FlowKind.Online,
            ModelsTrained = ["policy"],
            DefaultRoles = new Dictionary<string, string>(),
            ScoresNeeded = Enum.GetValues<ScoreKind>(),
            Iterations = Iterations,
            PromptsPerIteration = Batches,
            RowsPerBatch = 1,
            EvaluateEvery = -1,
        },
        Roles = StubRoles.All,
        Devices = new DeviceLeases(),
        RunFolder = folder,
        Observer = new Watch(),
        Flow = new FlowOptions { BatchesInFlight = 64, SafePointShare = 0 },
    };

    private sealed class Watch : IRunObserver
    {
        private readonly ConcurrentQueue<(TimeSpan Cpu, long At)> _marks = new();

        public string? Failure { get; set; }

        public void Started(long firstIteration, long iterations)
        {
            // The measurement begins with the end of the warm-up.
        }

        public void Reported(IterationReport report)
        {
            if (report.Iteration >= WarmUp)
                _marks.Enqueue((Process.GetCurrentProcess().TotalProcessorTime, Stopwatch.GetTimestamp()));
        }

        public void Noted(string kind, string message)
        {
            // Nobody reads along.
        }

        public Dictionary<string, double> Result(int count)
        {
            var ((cpu, at), (lastCpu, lastAt)) = (_marks.First(), _marks.Last());
            var batches = (_marks.Count - 1.0) * Batches;
            var perBatch = (lastCpu - cpu).TotalSeconds / batches;
            return new Dictionary<string, double>
            {
                ["role_actors"] = count,
                ["batches_per_s"] = batches / Stopwatch.GetElapsedTime(at, lastAt).TotalSeconds,
                ["coordinator_us_per_batch"] = perBatch * 1e6,
                ["cores_at_asked_rate"] = perBatch * AskedPerSecond,
            };
        }
    }
}
