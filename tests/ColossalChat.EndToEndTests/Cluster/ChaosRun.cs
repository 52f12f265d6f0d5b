using System.Globalization;
using ColossalChat.Cluster;
using ColossalChat.Tests;

namespace ColossalChat.EndToEndTests;

/// <summary>What a disturbed run came to.</summary>
/// <param name="Plan">What went wrong.</param>
/// <param name="Recovery">
/// From the fault to the end of the first iteration that began after the run had noticed the loss (an event restart or
/// resumed) or, where nobody noticed anything, after the fault. An attempt that begins anew begins its iteration anew too.
/// </param>
/// <param name="Noticed">From the fault to that event; null when nobody noticed.</param>
/// <param name="Problem">What does not hold; empty when all does.</param>
public sealed record ChaosResult(ChaosPlan Plan, TimeSpan Recovery, TimeSpan? Noticed, string Problem)
{
    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Plan}: noticed {(Noticed is { } noticed ? $"{noticed.TotalSeconds:0.0} s" : "never")}, recovered {Recovery.TotalSeconds:0.0} s{(Problem.Length == 0 ? "" : $": {Problem}")}");
}

/// <summary>Runs of one size on six nodes, each disturbed once, all held against runs in one process that nobody disturbed.</summary>
public sealed class ChaosBench(int iterations)
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);
    private readonly Dictionary<string, TrainingRun> _undisturbed = [];
    private Task<string>? _building;
    private string _plugins = "";

    /// <summary>Folder of all runs.</summary>
    public string Root { get; } = Repository.NewFolder("chaos");

    /// <summary>Carries out a plan; what went wrong is kept to be looked at.</summary>
    public async Task<ChaosResult> RunAsync(ChaosPlan plan)
    {
        var result = await DisturbAsync(plan);
        if (result.Problem.Length == 0)
            Directory.Delete(Path.Combine(Root, $"run-{plan.Number}"), recursive: true);
        return result;
    }

    private async Task<ChaosResult> DisturbAsync(ChaosPlan plan)
    {
        if (plan.IsPlugin)
            _plugins = await (_building ??= BuildPluginAsync());
        var (name, marker) = ($"run-{plan.Number}", Path.Combine(Root, $"run-{plan.Number}-happened"));
        string[] settings = [.. Settings, .. Rewards(plan, marker)];
        using var network = plan.Kind == FaultKind.Cut ? new CutNetwork([.. ClusterRun.Six.Select(node => node.Name)]) : null;
        using var disk = plan.Kind == FaultKind.Disk ? new SmallDisk(Path.Combine(Root, name, "checkpoints"), 64) : null;
        using var cluster = ClusterRun.Start(Root, name, network, settings);
        var fault = plan.IsPlugin ? default : Disturb(plan, cluster, network, disk);
        cluster.WaitForEnd(Limit);
        if (plan.Kind is FaultKind.Throw or FaultKind.Hang or FaultKind.Infinite)
            fault = DateTimeOffset.Parse(await File.ReadAllTextAsync(marker), CultureInfo.InvariantCulture);
        else if (plan.IsPlugin)
            fault = RunLog.Iterations(cluster.Run.Folder)[(int)plan.After - 1].Time;
        return Judge(plan, cluster, fault);
    }

    private string[] Settings => StoryPpo.Settings(Root, [
        $"stage.iterations={iterations}", "stage.prompts-per-iteration=16", "stage.rows-per-batch=4", "stage.evaluate-every=-1",
        "roles.rollout.max-new-tokens=32", "run.checkpoint-every=5",
    ]);

    private string[] Rewards(ChaosPlan plan, string marker) => plan.Kind switch
    {
        FaultKind.Throw => [.. Flaky("throw", plan), $"roles.reward.marker={marker}"],
        FaultKind.Hang => [.. Flaky("hang", plan), $"roles.reward.marker={marker}", "flow.role-timeout=20s", "flow.cancel-grace=2s"],
        FaultKind.Infinite => [.. Flaky("infinity", plan), $"roles.reward.marker={marker}"],
        FaultKind.NotANumber => Flaky("nan", plan),
        _ => [],
    };

    private string[] Flaky(string fault, ChaosPlan plan) =>
        [$"plugins.folder={_plugins}", "roles.reward.use=flaky-reward", $"roles.reward.fault={fault}", $"roles.reward.iteration={plan.After + 1}"];

    private static DateTimeOffset Disturb(ChaosPlan plan, ClusterRun cluster, CutNetwork? network, SmallDisk? disk)
    {
        cluster.WaitForIteration(plan.After, Limit);
        var times = RunLog.Iterations(cluster.Run.Folder);
        Pause(plan.Share * (times.Count > 1 ? times[^1].Time - times[^2].Time : TimeSpan.FromSeconds(1)));
        var fault = DateTimeOffset.UtcNow;
        switch (plan.Kind)
        {
            case FaultKind.Cut:
                network!.Cut(plan.Target, plan.Other);
                Pause(plan.Lasts);
                network.Mend(plan.Target, plan.Other);
                break;
            case FaultKind.Disk:
                disk!.Fill();
                cluster.Await(() => RunLog.Events(cluster.Run.Folder, "checkpoint").Any(saved => saved.Message.Contains("could not be written", StringComparison.Ordinal)), "a checkpoint that could not be written", Limit);
                disk.Clear();
                break;
            default:
                Hit(plan, plan.Class == FaultClass.Coordinator ? cluster.Leader! : cluster.Nodes[plan.Target]);
                break;
        }

        return fault;
    }

    private static void Hit(ChaosPlan plan, NodeProcess node)
    {
        var id = node.Id;
        node.Signal(plan.Kind == FaultKind.Kill ? "KILL" : "STOP", id);
        if (plan.Kind == FaultKind.Kill)
            return;
        Pause(plan.Lasts);
        node.Signal("CONT", id);
    }

    private ChaosResult Judge(ChaosPlan plan, ClusterRun cluster, DateTimeOffset fault)
    {
        var (run, problems) = (cluster.Run, new List<string>());
        var reported = RunLog.Iterations(run.Folder);
        if (!reported.Select(line => line.Iteration).SequenceEqual(Enumerable.Range(1, iterations).Select(i => (long)i)))
            problems.Add($"reported iterations {string.Join(' ', reported.Select(line => line.Iteration))}");
        var ledger = JournalReader.Audit(run.Folder);
        if (ledger is not { IsExactlyOnce: true } || ledger.Iterations != iterations || ledger.Samples != iterations * 16L)
            problems.Add($"ledger: {ledger?.Line ?? "none"}");
        var whole = Undisturbed(plan);
        foreach (var model in new[] { "policy", "critic" }.Where(model => whole.HashOf(model) != run.HashOf(model)))
            problems.Add($"weights of {model} differ");
        var losses = RunLog.Events(run.Folder, "restart").Concat(RunLog.Events(run.Folder, "resumed")).Where(note => note.Time > fault).OrderBy(note => note.Time).ToArray();
        DateTimeOffset? noticed = losses.Length > 0 ? losses[0].Time : null;
        var goesOn = losses.Length > 0 && !losses.Any(note => IsNewAttempt(note.Message));
        var after = reported.Where(line => line.Time > (noticed ?? fault)).Skip(noticed is null || goesOn ? 1 : 0).Select(line => line.Time).DefaultIfEmpty(reported[^1].Time).First();
        if (problems.Count > 0)
            problems.Add(cluster.Story());
        return new ChaosResult(plan, after - fault, noticed - fault, string.Join("; ", problems));
    }

    private static bool IsNewAttempt(string message) =>
        message.Contains("All roles are made anew", StringComparison.Ordinal) || message.StartsWith("Continues after", StringComparison.Ordinal);

    // Answers that got NaN train nothing, so such a run is held against one with the same plugin.
    private TrainingRun Undisturbed(ChaosPlan plan)
    {
        var isOdd = plan.Kind == FaultKind.NotANumber;
        var name = isOdd ? $"whole-{plan.Number}" : "whole";
        if (!_undisturbed.TryGetValue(name, out var run))
            _undisturbed[name] = run = TrainingRun.Run(Root, name, "ppo", "cluster-ppo.hocon", Limit, [.. Settings, .. isOdd ? Rewards(plan, "") : []]);
        return run;
    }

    private async Task<string> BuildPluginAsync()
    {
        var sources = Directory.CreateDirectory(Path.Combine(Root, "source")).FullName;
        var versions = new PluginVersions(Path.Combine(Repository.Root, "tests", "plugins"), sources);
        var built = versions.Add("FlakyReward", "1.0.0");
        await versions.BuildAsync(HostProcess.Home);
        var installed = Path.Combine(Root, "plugins");
        PluginVersions.Install(built, installed, "FlakyReward");
        return installed;
    }

    private static void Pause(TimeSpan time)
    {
        using var pause = new ManualResetEventSlim();
        pause.Wait(time);
    }
}
