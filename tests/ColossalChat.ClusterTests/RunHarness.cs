using System.Collections.Concurrent;
using Akka.Actor;
using Akka.Configuration;
using Akka.Event;
using ColossalChat.Contracts;
using ColossalChat.Transfer;

namespace ColossalChat.Cluster.Tests;

/// <summary>Starts runs of fake roles in an actor system and a folder of their own, and records what they report.</summary>
internal sealed class RunHarness : IAsyncDisposable, IRunObserver
{
    public static readonly StagePlan OnlinePlan = new()
    {
        Flow = FlowKind.Online,
        ModelsTrained = ["policy", "critic"],
        DefaultRoles = new Dictionary<string, string>(),
        ScoresNeeded = [ScoreKind.ReferenceLogProbs, ScoreKind.Values, ScoreKind.Rewards],
        Iterations = 4,
        PromptsPerIteration = 6,
        AnswersPerPrompt = 2,
        RowsPerBatch = 4,
        EvaluateEvery = -1,
        EvaluationPrompts = 3,
    };

    public static readonly StagePlan OfflinePlan = OnlinePlan with
    {
        Flow = FlowKind.Offline,
        ModelsTrained = ["policy"],
        ScoresNeeded = [],
        Iterations = 0,
    };

    public RunHarness(FakeWorld? world = null, string? runFolder = null)
    {
        World = world ?? new FakeWorld();
        RunFolder = runFolder ?? Directory.CreateTempSubdirectory("colossalchat-run-").FullName;
        System = ActorSystem.Create("test", ConfigurationFactory.ParseString(
            WireHocon.Text + "\n" + RunHocon.Dispatchers + "\nakka { loglevel = ERROR, stdout-loglevel = OFF, log-dead-letters = off, loggers = [] }"));
        System.EventStream.Subscribe(System.ActorOf(Props.Create(() => new DeadLetterCounter(this))), typeof(DeadLetter));
    }

    public FakeWorld World { get; }

    public string RunFolder { get; }

    public ActorSystem System { get; }

    public StagePlan Plan { get; set; } = OnlinePlan;

    public RunRoles? Roles { get; set; }

    public FlowOptions Flow { get; set; } = new() { RoleTimeout = TimeSpan.FromSeconds(20), BatchesInFlight = 2 };

    public long CheckpointEvery { get; set; }

    public int KeepCheckpoints { get; set; } = 2;

    public BestRule? KeepBest { get; set; }

    /// <summary>The disk: writes a checkpoint.</summary>
    public Func<RunDefinition, RunState, Action<string>, string> WriteWith { get; set; } =
        (run, state, remark) => CheckpointWriter.Write(run.RunFolder, state, run.KeepCheckpoints, run.KeepBest, remark);

    public JournalSettings? Journal { get; set; } = new() { ExperienceOrigin = "fakes", Configuration = "colossalchat { }" };

    public long? MaxIterations { get; set; }

    public string? ResumeFrom { get; set; }

    public IPluginExchange? Plugins { get; set; }

    public IDeviceLeases Devices { get; set; } = new DeviceLeases();

    /// <summary>Roles are on nodes, and messages to and from them are lost, doubled and late; null where they are all here.</summary>
    public LossyLines? Lines { get; set; }

    public Action<IterationReport> OnReport { get; set; } = _ => { };

    public ConcurrentQueue<IterationReport> Reports { get; } = new();

    public ConcurrentQueue<(string Kind, string Message)> Notes { get; } = new();

    public (long First, long Iterations)? StartedAt { get; private set; }

    public ConcurrentQueue<string> DeadLetters { get; } = new();

    public Task<RunEnd> RunAsync(CancellationToken stop = default) => (Lines?.StartAsync(System, Definition(), stop) ?? Run.StartAsync(System, Definition(), stop))
        .WaitAsync(TimeSpan.FromSeconds(60), CancellationToken.None);

    public RunDefinition Definition() => new()
    {
        Plan = Plan,
        Roles = Roles ?? (Plan.Flow == FlowKind.Online
            ? World.OnlineRoles([.. Plan.ModelsTrained])
            : World.OfflineRoles([.. Plan.ModelsTrained])),
        Devices = Devices,
        RunFolder = RunFolder,
        CheckpointEvery = CheckpointEvery,
        KeepCheckpoints = KeepCheckpoints,
        KeepBest = KeepBest,
        WriteWith = WriteWith,
        Journal = Journal,
        MaxIterations = MaxIterations,
        ResumeFrom = ResumeFrom is { } folder ? Checkpoints.Open(folder) : null,
        Observer = this,
        Plugins = Plugins,
        ControlEvery = TimeSpan.FromMilliseconds(10),
        Flow = Flow,
        Parcels = Lines is null ? null : new ParcelPost(System, new InProcessBlobLane()),
    };

    public void Started(long firstIteration, long iterations) => StartedAt = (firstIteration, iterations);

    public void Reported(IterationReport report)
    {
        Reports.Enqueue(report);
        OnReport(report);
    }

    public void Noted(string kind, string message) => Notes.Enqueue((kind, message));

    /// <summary>Everything that must not depend on luck: weights and all reported numbers but times.</summary>
    public string Digest() => World.Digest() + "\n" + string.Join("\n", Reports.Select(Line));

    public static string Line(IterationReport report) => $"{report.Iteration} {report.Purpose} " + string.Join(" ", report.Metrics
        .Where(metric => !metric.Key.StartsWith("timing/", StringComparison.Ordinal) && !metric.Key.Contains("_per_s", StringComparison.Ordinal) && metric.Key is not ("perf/step_s" or "perf/data_wait_s"))
        .Select(metric => $"{metric.Key}={metric.Value:R}"));

    public async ValueTask DisposeAsync() => await System.Terminate();

    private sealed class DeadLetterCounter : ReceiveActor
    {
        public DeadLetterCounter(RunHarness harness) => Receive<DeadLetter>(letter => harness.DeadLetters.Enqueue($"{letter.Message} -> {letter.Recipient}"));
    }
}
