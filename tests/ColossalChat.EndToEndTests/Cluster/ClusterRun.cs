using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace ColossalChat.EndToEndTests;

/// <summary>A node of a test's cluster.</summary>
/// <param name="Name">Short name.</param>
/// <param name="Roles">What it may host, with commas.</param>
public sealed record NodePlan(string Name, string Roles);

/// <summary>
/// One training run in several processes of this machine, all from one file: started, looked at through its run folder, and
/// killed at the end whatever happened.
/// </summary>
public sealed class ClusterRun : IDisposable
{
    /// <summary>Six processes; two besides the first may lead, so that a run without it has somewhere to go.</summary>
    public static readonly IReadOnlyList<NodePlan> Six =
    [
        new("c", "coordinator"), new("r1", "rollout,coordinator"), new("r2", "rollout,coordinator"),
        new("s", "reference,reward"), new("t1", "trainer,critic"), new("t2", "trainer,critic"),
    ];

    private readonly string _logs;

    private ClusterRun(TrainingRun run, string logs) => (Run, _logs) = (run, logs);

    /// <summary>Its folder and curves.</summary>
    public TrainingRun Run { get; }

    /// <summary>Its nodes by short name.</summary>
    public IReadOnlyDictionary<string, NodeProcess> Nodes { get; private init; } = new Dictionary<string, NodeProcess>();

    /// <summary>Starts all nodes.</summary>
    /// <param name="root">Folder that gets the run folder.</param>
    /// <param name="name">Name of the run.</param>
    /// <param name="network">Where each node has an address of its own; null for this machine's own network.</param>
    /// <param name="settings">key=value settings, the same for all.</param>
    public static ClusterRun Start(string root, string name, CutNetwork? network, params string[] settings) => Start(Six, root, name, network, settings);

    /// <summary>Starts the nodes of a plan, of which the first is where the others meet.</summary>
    public static ClusterRun Start(IReadOnlyList<NodePlan> nodes, string root, string name, CutNetwork? network, params string[] settings)
    {
        var logs = Directory.CreateDirectory(Path.Combine(root, $"{name}-logs")).FullName;
        var port = FreePort();
        string HostOf(NodePlan node) => network?.AddressOf(node.Name) ?? "127.0.0.1";
        var seed = $"akka.cluster.seed-nodes=[\"akka.tcp://story@{HostOf(nodes[0])}:{port}\"]";
        NodeProcess Launch(NodePlan node) => NodeProcess.Start(node.Name, Path.Combine(logs, node.Name + ".txt"),
        [
            .. network?.Inside(node.Name) ?? [], "dotnet", Path.Combine(HostProcess.Home, "ColossalChat.Host.dll"),
            "node", Path.Combine(AppContext.BaseDirectory, "Runs", "cluster-ppo.hocon"), "--roles", node.Roles,
            $"run.folder={root}", $"run.name={name}", seed, $"akka.remote.dot-netty.tcp.hostname={HostOf(node)}",
            $"akka.remote.dot-netty.tcp.port={(node == nodes[0] ? port : 0)}", .. settings,
        ]);
        return new ClusterRun(new TrainingRun(Path.Combine(root, name)), logs) { Nodes = nodes.ToDictionary(node => node.Name, Launch) };
    }

    /// <summary>Last iteration that was reported; 0 before the first.</summary>
    public long Iteration => RunLog.Iterations(Run.Folder).Select(line => line.Iteration).LastOrDefault();

    /// <summary>The node that leads the run now; null while nobody does.</summary>
    public NodeProcess? Leader
    {
        get
        {
            var file = Path.Combine(Run.Folder, "coordinator.json");
            if (!File.Exists(file))
                return null;
            var name = JsonElement.Parse(File.ReadAllText(file)).GetProperty("Node").GetString()!;
            return Nodes.Values.FirstOrDefault(node => name.Contains($"-{node.Id.ToString(CultureInfo.InvariantCulture)}-", StringComparison.Ordinal));
        }
    }

    /// <summary>Waits until an iteration was reported.</summary>
    public void WaitForIteration(long iteration, TimeSpan limit) => Await(() => Iteration >= iteration, $"iteration {iteration}", limit);

    /// <summary>Waits until all nodes have ended; the test fails unless each ended with 0.</summary>
    public void WaitForEnd(TimeSpan limit)
    {
        Await(() => Nodes.Values.All(node => node.ExitCode is not null), "the end of all nodes", limit);
        var odd = Nodes.Values.Where(node => node.ExitCode != 0).Select(node => $"{node.Name} ended with {node.ExitCode}").ToArray();
        Assert.True(odd.Length == 0, $"{string.Join(", ", odd)}.\n{Story()}");
    }

    /// <summary>Waits until something is so.</summary>
    public void Await(Func<bool> isSo, string what, TimeSpan limit)
    {
        using var pause = new ManualResetEventSlim();
        for (var began = Stopwatch.GetTimestamp(); !isSo(); pause.Wait(TimeSpan.FromMilliseconds(20)))
        {
            Assert.True(Stopwatch.GetElapsedTime(began) < limit, $"{what} did not come within {limit}.\n{Story()}");
            var refused = Nodes.Values.FirstOrDefault(node => node.ExitCode is not (null or 0));
            Assert.True(refused is null, $"{refused?.Name} ended with {refused?.ExitCode} while the test waited for {what}.\n{Story()}");
        }
    }

    /// <summary>What happened, for whoever reads that the test failed.</summary>
    public string Story()
    {
        var events = File.Exists(Path.Combine(Run.Folder, "events.jsonl")) ? File.ReadAllText(Path.Combine(Run.Folder, "events.jsonl")) : "";
        var logs = Directory.GetFiles(_logs).Order(StringComparer.Ordinal).Select(file => $"--- {Path.GetFileName(file)}\n{Tail(File.ReadAllText(file), 1500)}");
        return $"Run folder {Run.Folder}, logs {_logs}\n{Tail(events, 4000)}\n{string.Join('\n', logs)}";
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var node in Nodes.Values)
            node.Dispose();
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static string Tail(string text, int most) => text.Length <= most ? text : text[^most..];
}
