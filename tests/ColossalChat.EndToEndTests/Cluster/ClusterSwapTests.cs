using ColossalChat.Cluster;

namespace ColossalChat.EndToEndTests;

/// <summary>
/// PPO on a small model in several processes, whose policy loss and reward are exchanged by the verb on all of them while it
/// goes on: no iteration is lost, old versions leave the memory of every process, and broken candidates are rolled back.
/// </summary>
public sealed class ClusterSwapTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);

    // The loss is on two of them and the reward on another two.
    private static readonly IReadOnlyList<NodePlan> s_three =
        [new("a", "coordinator,rollout,reward"), new("b", "trainer,critic,rollout"), new("c", "trainer,reference,reward")];

    [DataFact]
    [Trait("Category", "CI")]
    public Task Loss_and_reward_of_three_processes_once_each() => SwapAsync(s_three, times: 1, "Swap of policy loss and reward on three nodes", "cluster.roles.reward.nodes=2");

    [DataFact]
    [Trait("Category", "Full")]
    public Task Loss_and_reward_of_six_processes_ten_times_each() => SwapAsync(ClusterRun.Six, times: 10, "Swap of policy loss and reward on six nodes");

    private static async Task SwapAsync(IReadOnlyList<NodePlan> nodes, int times, string name, params string[] more)
    {
        using var figures = new Figures();
        var root = Repository.NewFolder("cluster-swap");
        var versions = await SwapVersions.BuildAsync(root, withBroken: true);
        TrainingRun run;
        int gone;
        using (var cluster = ClusterRun.Start(nodes, root, "run", network: null, StoryPpo.Settings(root, [.. versions.Settings, .. more])))
        {
            run = cluster.Run;
            gone = Swap(cluster, versions, times) * nodes.Count;
            cluster.WaitForIteration(cluster.Iteration + 2, Limit);
            cluster.Await(() => Unloaded(run) >= gone, $"{gone} versions to be unloaded", Limit);
            RunControl.Post(run.Folder, new ControlRequest(RunControl.Stop, new Dictionary<string, string>()));
            cluster.Await(() => RunLog.Events(run.Folder, "interrupted").Count > 0, "the end of the run", Limit);
        }

        var iterations = RunLog.Iterations(run.Folder).Select(line => line.Iteration).ToArray();
        Assert.Equal(Enumerable.Range(1, iterations.Length).Select(iteration => (long)iteration), iterations);
        Assert.Empty(RunLog.Events(run.Folder, "restart"));
        var ledger = JournalReader.Audit(run.Folder);
        Assert.True(ledger is { IsExactlyOnce: true } && ledger.Iterations == iterations.Length, ledger?.Line);
        Assert.Equal([0.5f, 0.25f], run.Curve("reward/score").Select(point => (float)point.Value).Distinct().OrderDescending());
        figures.Check(name, $"{2 * times} swaps, no iteration lost, old contexts collected on {nodes.Count} nodes, broken candidates rolled back",
            $"{2 * times} swaps over {iterations.Length} iterations, each reported once; {Unloaded(run)} of {gone} contexts collected; {versions.Broken.Length} broken candidates rolled back",
            Unloaded(run) == gone);
    }

    // How many versions were given up on each node.
    private static int Swap(ClusterRun cluster, SwapVersions versions, int times)
    {
        cluster.WaitForIteration(1, Limit);
        for (var time = 0; time < times; time++)
            foreach (var (plugin, folders) in (IEnumerable<(string, string[])>)[("SampleLoss", versions.Losses), ("SampleReward", versions.Rewards)])
                Ask(cluster, plugin, folders[(time + 1) % 2], code: 0, $"{plugin} ");
        foreach (var ((plugin, folder), says) in versions.Broken.Zip((string[])["the thing is broken", "not finite"]))
            Ask(cluster, plugin, folder, code: 1, says);
        Ask(cluster, "SampleLoss", versions.Rewards[0], code: 3, "There is no SampleLoss.dll");
        return (2 * times) + versions.Broken.Length;
    }

    private static void Ask(ClusterRun cluster, string plugin, string folder, int code, string says)
    {
        var result = HostProcess.Run(Limit, "plugin", "swap", plugin, folder, "--run", cluster.Run.Folder);
        var output = result.Output + result.Error;
        Assert.True(result.ExitCode == code && output.Contains(says, StringComparison.Ordinal), $"{result.ExitCode}: {output}\n{cluster.Story()}");
    }

    private static int Unloaded(TrainingRun run) =>
        RunLog.Events(run.Folder, "swap").Count(note => note.Message.Contains("is unloaded", StringComparison.Ordinal));
}
