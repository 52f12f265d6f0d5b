using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace ColossalChat.EndToEndTests;

/// <summary>Whole runs with several ranks, as actors of one process and as processes of their own.</summary>
public sealed class RankTests
{
    private const int Steps = 20;
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);

    private static readonly string[] Strategies =
    [
        "ddp", "zero1", "zero2", "zero3", "{ use = gemini, placement = device }", "{ use = gemini, placement = host }",
        "{ use = gemini, placement = disk }", "{ use = gemini, placement = auto }",
    ];

    [DataTheory]
    [Trait("Category", "CI")]
    [InlineData("zero2", 2, 1)]
    [InlineData("zero3", 4, 0)]
    public void Ranks_learn_what_one_learns(string strategy, int ranks, int processes) => Compare([strategy], [(ranks, processes)]);

    [DataFact]
    [Trait("Category", "Full")]
    public void Ranks_of_every_strategy_learn_what_one_learns() => Compare(Strategies, [(2, 0), (2, 1), (4, 0), (4, 3)]);

    [DataFact]
    [Trait("Category", "CI")]
    public void A_run_goes_on_with_other_ranks()
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("other-ranks");
        var whole = Run(root, "whole", []);
        string[] moved = [.. Arguments(root, "moved", [])];
        HostProcess.Succeed(Limit, [.. moved, .. Ranks("zero2", 2, 1), "--max-steps", "7"]);
        var folder = Path.Combine(root, "moved");
        HostProcess.Succeed(Limit, [.. moved, .. Ranks("{ use = gemini, placement = disk }", 4, 1), "--max-steps", "14", "--resume", folder]);
        HostProcess.Succeed(Limit, [.. moved, .. End, "--resume", folder]);
        var distance = Distance(Weights(whole), Weights(new TrainingRun(folder)));
        figures.Check("Resume, 2 to 4 to 1 ranks", "weights within 1e-6", $"{distance:E1} of the weights' norm", distance <= 1e-6);
    }

    [DataTheory]
    [Trait("Category", "CI")]
    [InlineData(true)]
    [InlineData(false)]
    public void Ranks_do_not_outlive_a_leader_that_is_killed(bool atTheStart)
    {
        if (!OperatingSystem.IsLinux())
            return; // Other systems do not tell command lines.
        var root = Repository.NewFolder("orphans");
        var run = new TrainingRun(Path.Combine(root, "orphans"));
        using var leader = HostProcess.Start([.. Arguments(root, "orphans", Ranks("zero2", 3, 2)), "--max-steps", "100000"]);
        bool HasCome() => atTheStart ? RanksOf(run.Folder).Count > 0 : new FileInfo(Path.Combine(run.Folder, "metrics.jsonl")) is { Exists: true, Length: > 0 };
        Await(() => HasCome() || leader.HasEnded);
        Assert.False(leader.HasEnded, leader.Error);
        var meeting = MeetingOf(RanksOf(run.Folder)[0].Words);

        leader.Signal("KILL");
        leader.WaitUntilGone(Limit);

        Await(() => RanksOf(run.Folder).Count == 0, TimeSpan.FromSeconds(20));
        Assert.False(Directory.Exists(meeting));
    }

    [DataFact]
    [Trait("Category", "CI")]
    public void Rank_processes_write_their_shards_and_one_that_is_killed_costs_nothing()
    {
        if (!OperatingSystem.IsLinux())
            return; // Other systems do not tell command lines.
        using var figures = new Figures();
        var root = Repository.NewFolder("rank-shards");
        string[] settings = [.. Ranks("zero2", 3, 2), "run.checkpoint-every=1", "flow.safe-point-share=0.5"];
        string[] end = ["--max-steps", "30", "-v"];
        HostProcess.Succeed(Limit, [.. Arguments(root, "whole", settings), .. end]);
        var (whole, killed, before) = (new TrainingRun(Path.Combine(root, "whole")), new TrainingRun(Path.Combine(root, "killed")), MemoryFiles());
        using var leader = HostProcess.Start([.. Arguments(root, "killed", settings), .. end]);
        Await(() => Checkpoints(killed).Length > 0 && string.CompareOrdinal(Checkpoints(killed)[^1], "step-00000004") >= 0 || leader.HasEnded);
        Assert.False(leader.HasEnded, leader.Error);

        var (id, words) = RanksOf(killed.Folder)[0];
        using (var rank = Process.GetProcessById(id))
            rank.Kill();
        Assert.Equal(0, leader.WaitForEnd(Limit).ExitCode);

        Assert.Single(File.ReadLines(Path.Combine(killed.Folder, "events.jsonl")), line => line.Contains("\"restart\"", StringComparison.Ordinal));
        var (log, last) = (File.ReadAllText(Path.Combine(whole.Folder, "log.txt")), Checkpoints(whole)[^1]);
        foreach (var rank in new[] { 1, 2 })
            Assert.Contains($"rank process {rank - 1}: debug: rank {rank} of policy wrote {Path.Combine(whole.Folder, "checkpoints", $".{last}.1.unfinished", $"trainers.policy@{rank}", "state.bin")}", log, StringComparison.Ordinal);
        Assert.Equal(Checkpoints(whole), Checkpoints(killed));
        foreach (var file in Directory.GetFiles(Path.Combine(whole.Folder, "checkpoints", last), "state.*", SearchOption.AllDirectories))
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(file.Replace(whole.Folder, killed.Folder, StringComparison.Ordinal)));
        Assert.False(Directory.Exists(MeetingOf(words)));
        // Other tests make some too, which go by themselves.
        var made = MemoryFiles().Except(before).ToArray();
        Await(() => !made.Any(File.Exists), TimeSpan.FromSeconds(20));
        Assert.Empty(Directory.GetFiles(killed.Folder, "*.copy", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 }));
        var isEqual = whole.HashOf("policy") == killed.HashOf("policy");
        figures.Check("SIGKILL of a rank process", "goes on from the last safe point, same weights and shards bit for bit", $"weights {(isEqual ? "equal" : "different")}", isEqual);
    }

    private static string[] Checkpoints(TrainingRun run)
    {
        var parent = Path.Combine(run.Folder, "checkpoints");
        return Directory.Exists(parent) ? [.. Directory.GetDirectories(parent, "step-*").Select(folder => Path.GetFileName(folder)).Order(StringComparer.Ordinal)] : [];
    }

    /// <summary>Files in memory that have a name now.</summary>
    private static string[] MemoryFiles() => Directory.Exists("/dev/shm") ? Directory.GetFiles("/dev/shm", "colossalchat-*") : [];

    /// <summary>Where a rank process meets the others.</summary>
    private static string MeetingOf(string[] words) => Path.GetDirectoryName(words[2..].First(word => word.EndsWith(".hocon", StringComparison.Ordinal)))!;

    /// <summary>Command lines of a run's rank processes.</summary>
    private static List<(int Id, string[] Words)> RanksOf(string runFolder)
    {
        var lines = new List<(int, string[])>();
        foreach (var process in Directory.GetDirectories("/proc").Where(folder => char.IsDigit(Path.GetFileName(folder)[0])))
        {
            try
            {
                var words = File.ReadAllText(Path.Combine(process, "cmdline")).Split('\0');
                if (words.Contains("rank") && words.Contains(runFolder))
                    lines.Add((int.Parse(Path.GetFileName(process), CultureInfo.InvariantCulture), words));
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                continue; // It ended meanwhile, or is somebody else's.
            }
        }

        return lines;
    }

    private static void Await(Func<bool> condition, TimeSpan? limit = null)
    {
        using var pause = new ManualResetEventSlim();
        for (var began = Stopwatch.GetTimestamp(); !condition(); pause.Wait(TimeSpan.FromMilliseconds(50)))
            Assert.True(Stopwatch.GetElapsedTime(began) < (limit ?? Limit), "It did not come so far.");
    }

    private static void Compare(string[] strategies, (int Ranks, int Processes)[] teams)
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("ranks");
        var alone = Run(root, "alone", []);
        foreach (var strategy in strategies)
        {
            var (worst, mean) = (0.0, 0.0);
            foreach (var (ranks, processes) in teams)
            {
                var name = $"{new string([.. strategy.Where(char.IsLetterOrDigit)])}-{ranks}-{processes}";
                var run = Run(root, name, Ranks(strategy, ranks, processes));
                foreach (var metric in new[] { "train/loss", "train/grad_norm" })
                {
                    var distances = Distances(alone.Curve(metric), run.Curve(metric));
                    (worst, mean) = (Math.Max(worst, distances.Max()), Math.Max(mean, distances.Average()));
                }
            }

            figures.Check($"Equality in whole runs, {strategy}, {string.Join(" and ", teams.Select(team => team.Ranks).Distinct())} ranks, {(teams.Length > 1 ? "actors and processes" : teams[0].Processes > 0 ? "processes" : "actors")}",
                "loss and gradient norm of 20 steps within 1e-5, mean 1e-6", $"worst {worst:E1}, mean {mean:E1}", worst <= 1e-5 && mean <= 1e-6);
        }
    }

    private static double[] Distances(IReadOnlyList<(long Iteration, double Value)> expected, IReadOnlyList<(long Iteration, double Value)> actual)
    {
        Assert.Equal(Steps, expected.Count);
        Assert.Equal(expected.Select(point => point.Iteration), actual.Select(point => point.Iteration));
        return [.. expected.Zip(actual, (a, b) => Math.Abs(a.Value - b.Value) / Math.Abs(a.Value))];
    }

    private static string[] End => ["--max-steps", $"{Steps}"];

    private static string[] Ranks(string strategy, int ranks, int processes) =>
        [$"trainer.ranks={ranks}", $"trainer.processes={processes}", $"roles.trainers.policy.engine.sharding={strategy}", $"roles.trainers.policy.engine.activation-checkpointing={ranks / 4}"];

    private static TrainingRun Run(string root, string name, string[] settings)
    {
        HostProcess.Succeed(Limit, [.. Arguments(root, name, settings), .. End]);
        return new TrainingRun(Path.Combine(root, name));
    }

    // Rows of several lengths, more than one micro-batch to a step.
    private static string[] Arguments(string root, string name, string[] settings) => TrainingRun.Arguments(root, name, "sft", "sft-instruct.hocon",
    [
        .. InstructTests.SftSettings, "stage.evaluate-every=-1", "run.checkpoint-every=0", "roles.batches.batch-size=16", "roles.batches.max-tokens=160",
        "roles.trainers.policy.learning-rate=1e-4", "roles.trainers.policy.engine.micro-batch-tokens=1024", .. settings,
    ]);

    private static float[] Weights(TrainingRun run)
    {
        var bytes = File.ReadAllBytes(Path.Combine(run.Model("policy"), "model.safetensors"));
        var data = bytes.AsSpan((int)(sizeof(long) + BinaryPrimitives.ReadInt64LittleEndian(bytes)));
        return MemoryMarshal.Cast<byte, float>(data).ToArray();
    }

    private static double Distance(float[] a, float[] b)
    {
        Assert.Equal(a.Length, b.Length);
        var (difference, norm) = (0.0, 0.0);
        for (var i = 0; i < a.Length; i++)
        {
            difference += Math.Pow(a[i] - (double)b[i], 2);
            norm += Math.Pow(a[i], 2);
        }

        return Math.Sqrt(difference / norm);
    }
}
