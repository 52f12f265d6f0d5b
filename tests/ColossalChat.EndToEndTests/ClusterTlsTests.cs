using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using ColossalChat.Tests;
using ColossalChat.Transfer;

namespace ColossalChat.EndToEndTests;

/// <summary>Nodes with mutual TLS, as processes: a run goes on among those with certificates, and a stranger stays outside.</summary>
public sealed class ClusterTlsTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    [DataFact]
    [Trait("Category", "CI")]
    public void A_run_over_TLS_goes_on_is_looked_at_and_stopped_and_a_stranger_does_not_get_in()
    {
        using var ours = new TlsFiles();
        using var strangers = new TlsFiles();
        var root = Repository.NewFolder("cluster-tls");
        var run = new TrainingRun(Path.Combine(root, "story"));
        var port = FreePort();
        string[] Arguments(string verb, TlsSettings tls, params string[] more) => [.. verb.Split(' '), Path.Combine(AppContext.BaseDirectory, "Runs", "story-ppo.hocon"), .. StoryPpo.Settings(root,
        [
            $"run.folder={root}", "run.name=story", "stage.iterations=100000", "stage.prompts-per-iteration=8", "stage.rows-per-batch=8", "stage.evaluate-every=-1", "roles.rollout.max-new-tokens=8",
            $"akka.cluster.seed-nodes=[\"akka.tcp://colossalchat@127.0.0.1:{port}\"]", $"cluster.tls.certificate={tls.CertificateFile}", $"cluster.tls.key={tls.KeyFile}",
            $"cluster.tls.authorities={tls.AuthoritiesFile}", .. more,
        ])];

        using var node = HostProcess.Start(Arguments("node", ours.Node("first"), $"akka.remote.dot-netty.tcp.port={port}"));
        using var stranger = HostProcess.Start(Arguments("node", strangers.Node("stranger"), "--roles", "rollout"));
        WaitFor(node, () => new FileInfo(Path.Combine(run.Folder, "metrics.jsonl")) is { Exists: true, Length: > 0 }, "an iteration");
        var refused = stranger.WaitForEnd(Limit);

        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("No other node let this one in", refused.Output, StringComparison.Ordinal);
        Assert.Contains("does not come from one of our authorities", refused.Error, StringComparison.Ordinal);

        var status = JsonDocument.Parse(HostProcess.Succeed(Limit, Arguments("cluster status", ours.Node("user"), "--json"))).RootElement;
        Assert.True(status.GetProperty("is_led").GetBoolean());
        Assert.Equal("", status.GetProperty("missing").GetString());
        var queues = Assert.Single(status.GetProperty("nodes").EnumerateArray()).GetProperty("queues").EnumerateObject().Select(queue => queue.Name).ToArray();
        Assert.Contains("rollout.1", queues);

        var findings = JsonDocument.Parse(HostProcess.Succeed(Limit, Arguments("doctor", ours.Node("user"), $"akka.remote.dot-netty.tcp.port={port}", "--json"))).RootElement.EnumerateArray()
            .ToLookup(finding => finding.GetProperty("name").GetString(), finding => finding.GetProperty("detail").GetString());
        Assert.Contains("CN=user", Assert.Single(findings["certificate"]), StringComparison.Ordinal);
        Assert.Contains(findings["port"], detail => detail!.Contains($"{port} is open for node ", StringComparison.Ordinal));
        Assert.Contains("all 1 nodes write into it", Assert.Single(findings["shared run folder"]), StringComparison.Ordinal);
        Assert.StartsWith("program, ", Assert.Single(findings["versions"]), StringComparison.Ordinal);

        Assert.Equal(4, HostProcess.Run(Limit, [.. Arguments("cluster leave", ours.Node("user")).Take(3), "no-such-node", $"run.folder={root}", "run.name=story"]).ExitCode);
        Assert.Contains("The run ends after this iteration", HostProcess.Succeed(Limit, Arguments("cluster stop", ours.Node("user"))), StringComparison.Ordinal);
        Assert.Equal(130, node.WaitForEnd(Limit).ExitCode);
        Assert.NotEmpty(Directory.GetDirectories(Path.Combine(run.Folder, "checkpoints")));
        Assert.False(File.Exists(Directory.GetFiles(Path.Combine(run.Folder, "nodes"), "card.json", SearchOption.AllDirectories).FirstOrDefault()));
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static void WaitFor(HostProcess host, Func<bool> isSo, string what)
    {
        var deadline = DateTime.UtcNow + Limit;
        using var pause = new ManualResetEventSlim();
        while (!isSo())
        {
            Assert.True(DateTime.UtcNow < deadline && !host.HasEnded, $"Waited for {what}.\n{host.Error}");
            pause.Wait(TimeSpan.FromMilliseconds(50));
        }
    }
}
