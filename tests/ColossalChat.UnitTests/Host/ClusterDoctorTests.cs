using System.Net;
using System.Net.Sockets;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Cli;
using ColossalChat.Host.Commands;
using ColossalChat.Host.Config;
using ColossalChat.Host.Nodes;
using ColossalChat.Tests;
using Xunit;

namespace ColossalChat.UnitTests.Host;

[Trait("Category", "CI")]
public sealed class ClusterDoctorTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("colossalchat-doctor-").FullName;
    private readonly List<IDisposable> _nodes = [];
    private readonly TlsFiles _files = new();

    private string Run => Path.Combine(_folder, "story");

    public void Dispose()
    {
        foreach (var node in _nodes)
            node.Dispose();
        _files.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Nodes_that_agree_are_found_good()
    {
        var bound = TestRun.Bind(_folder);
        foreach (var name in (string[])["a", "b", "c"])
            Leave(bound, name);
        using var coordinator = new FakeCoordinator(Run, FakeCoordinator.StatusOf(FakeCoordinator.Node("a", "coordinator"), FakeCoordinator.Node("b"), FakeCoordinator.Node("c")));

        var findings = await LookAsync(bound);

        Assert.All(findings, finding => Assert.True(finding is { IsGood: true, IsWarning: false }, finding.ToString()));
        Assert.Equal(["clocks", "coordinator", "port", "reach", "run folder", "shared run folder", "versions"], findings.Select(finding => finding.Name).Distinct().Order());
        Assert.Contains("all 3 nodes write into it: a, b, c", Single(findings, "shared run folder").Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ports_of_nodes_that_cannot_be_reached_are_named_before_a_run_is_led()
    {
        var bound = TestRun.Bind(_folder);
        var closed = NodeCards.FreePort("127.0.0.1");
        Leave(bound, "a");
        Leave(bound, "b", port: closed);
        Leave(bound, "c", lanePort: closed);

        var findings = (await LookAsync(bound)).Where(finding => finding.Name == "reach").ToArray();

        Assert.All(findings, finding => Assert.False(finding.IsGood));
        Assert.Equal(2, findings.Length);
        Assert.StartsWith($"Akka of b at 127.0.0.1:{closed} cannot be reached from here", findings[0].Detail, StringComparison.Ordinal);
        Assert.StartsWith($"the lane of c at 127.0.0.1:{closed} cannot be reached from here", findings[1].Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_speaks_no_TLS_where_it_should_is_told()
    {
        var files = _files.Node("node");
        var bound = TestRun.Bind(_folder, $"cluster.tls.certificate={files.CertificateFile}", $"cluster.tls.key={files.KeyFile}", $"cluster.tls.authorities={files.AuthoritiesFile}");
        Leave(bound, "a", certificate: ("CN=a", DateTime.UtcNow.AddYears(1)));

        Assert.Contains(await LookAsync(bound), finding => finding is { Name: "reach", IsGood: false } && finding.Detail.Contains("TLS with it fails", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Clocks_are_compared_before_a_run_is_led()
    {
        var bound = TestRun.Bind(_folder);
        foreach (var name in (string[])["a", "b", "c"])
            Leave(bound, name);
        var clock = Path.Combine(Run, "nodes", "b", "clock");
        await File.WriteAllTextAsync(clock, DateTimeOffset.UtcNow.AddSeconds(30).ToString("O"));
        File.Delete(Path.Combine(Run, "nodes", "c", "clock"));

        var findings = (await LookAsync(bound)).Where(finding => finding.Name == "clocks").ToArray();

        Assert.Equal([(false, false), (true, true)], findings.Select(finding => (finding.IsGood, finding.IsWarning)));
        Assert.Matches(@"^b at 127\.0\.0\.1 is \+(29|30)\.\d s from this machine's clock", findings[0].Detail);
        Assert.Contains("c at 127.0.0.1 has not said yet", findings[1].Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_candidate_for_the_coordinator_with_another_run_folder_is_named()
    {
        var bound = TestRun.Bind(_folder);
        Leave(bound, "a");
        using var coordinator = new FakeCoordinator(Run, FakeCoordinator.StatusOf(FakeCoordinator.Node("a", "coordinator"), FakeCoordinator.Node("b", "coordinator")));

        var findings = await LookAsync(bound);

        var finding = Single(findings, "shared run folder");
        Assert.False(finding.IsGood);
        Assert.StartsWith("b at 127.0.0.1 may lead the run and does not write into", finding.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_configuration_or_plugin_on_a_node_is_told_with_both_values()
    {
        var bound = TestRun.Bind(_folder);
        Leave(bound, "a");
        Leave(TestRun.Bind(_folder, "seed=7"), "b");
        Leave(bound, "c", card => card with { Versions = card.Versions.ToDictionary(entry => entry.Key, entry => entry.Key == "plugin ColossalChat.Rlhf" ? "9.9.9 abc" : entry.Value) });

        var findings = (await LookAsync(bound)).Where(finding => finding.Name == "versions").ToArray();

        Assert.Equal(2, findings.Length);
        Assert.Contains("b at 127.0.0.1: configuration is ", findings[0].Detail, StringComparison.Ordinal);
        Assert.Contains("c at 127.0.0.1: plugin ColossalChat.Rlhf is 9.9.9 abc there and ", findings[1].Detail, StringComparison.Ordinal);
        Assert.DoesNotContain("configuration is", findings[1].Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_killed_process_left_does_not_count()
    {
        var bound = TestRun.Bind(_folder);
        Leave(TestRun.Bind(_folder, "seed=7"), "dead");
        var card = Path.Combine(Run, "nodes", "dead", "card.json");
        var text = await File.ReadAllBytesAsync(card);
        _nodes[^1].Dispose();
        await File.WriteAllBytesAsync(card, text);

        Assert.DoesNotContain(await LookAsync(bound), finding => finding.Name == "versions");
        Assert.False(Assert.Single(NodeRecord.All(Run)).IsAlive);
    }

    [Fact]
    public async Task Two_nodes_a_silent_one_and_a_clock_that_is_off_are_told()
    {
        var bound = TestRun.Bind(_folder);
        Leave(bound, "a");
        Leave(bound, "b");
        using var coordinator = new FakeCoordinator(Run, FakeCoordinator.StatusOf(
            FakeCoordinator.Node("a", "coordinator"), FakeCoordinator.Node("b") with { IsReachable = false, ClockAhead = -30 }) with
        { Missing = "role reward needs 1 nodes" });

        var findings = await LookAsync(bound);

        Assert.Contains(findings, finding => finding is { IsGood: true, IsWarning: true } && finding.Detail == ClusterOptions.TwoNodes);
        Assert.Contains(findings, finding => finding is { IsGood: false, Name: "nodes" } && finding.Detail.StartsWith("b at 127.0.0.1 does not answer", StringComparison.Ordinal));
        Assert.Contains(findings, finding => finding.Detail == "the run waits: role reward needs 1 nodes");
        Assert.Contains("b at 127.0.0.1 is -30.0 s from", Single(findings, "clocks").Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_that_another_program_has_is_bad_and_one_that_a_node_of_the_run_has_is_not()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var port = ((IPEndPoint)other.LocalEndpoint).Port;
        var bound = TestRun.Bind(_folder, $"akka.remote.dot-netty.tcp.port={port}", $"cluster.lane.port={port}");

        var taken = (await LookAsync(bound)).Where(finding => finding.Name == "port").ToArray();
        Leave(bound, "a", lanePort: port);
        var owned = (await LookAsync(bound)).Where(finding => finding.Name == "port").ToArray();

        Assert.All(taken, finding => Assert.Contains($"port {port} at 127.0.0.1: another program has it", finding.Detail, StringComparison.Ordinal));
        Assert.Equal([false, false], taken.Select(finding => finding.IsGood));
        Assert.Equal([false, true], owned.Select(finding => finding.IsGood));
        Assert.Contains("is open for node a", owned[1].Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, true, false, "the key is its own")]
    [InlineData(0.05, true, true, "Renew it in time")]
    [InlineData(-0.5, false, false, "expired on")]
    public async Task A_certificate_is_good_soon_over_or_expired(double years, bool isGood, bool isWarning, string words)
    {
        var files = _files.Node("node", to: years);
        var bound = TestRun.Bind(_folder, $"cluster.tls.certificate={files.CertificateFile}", $"cluster.tls.key={files.KeyFile}", $"cluster.tls.authorities={files.AuthoritiesFile}");

        var finding = Single(await LookAsync(bound), "certificate");

        Assert.Equal((isGood, isWarning), (finding.IsGood, finding.IsWarning));
        Assert.Contains(words, finding.Detail, StringComparison.Ordinal);
        Assert.Contains("CN=node", finding.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_without_TLS_beside_one_with_it_and_a_certificate_that_ends_soon_elsewhere_are_told()
    {
        var files = _files.Node("node");
        var bound = TestRun.Bind(_folder, $"cluster.tls.certificate={files.CertificateFile}", $"cluster.tls.key={files.KeyFile}", $"cluster.tls.authorities={files.AuthoritiesFile}");
        Leave(bound, "a");
        Leave(bound, "b", certificate: ("CN=b", DateTime.UtcNow.AddDays(5)));

        var findings = await LookAsync(bound);

        Assert.Contains(findings, finding => finding is { Name: "certificate", IsGood: false } && finding.Detail.StartsWith("node a speaks without TLS", StringComparison.Ordinal));
        Assert.True(Single(findings, "certificate of b").IsWarning);
    }

    [Fact]
    public async Task A_folder_that_cannot_be_made_is_told()
    {
        var file = Path.Combine(_folder, "file");
        await File.WriteAllTextAsync(file, "");

        var finding = Single(await LookAsync(TestRun.Bind(Path.Combine(file, "below"))), "run folder");

        Assert.False(finding.IsGood);
        Assert.Contains($"because {file} is a file", finding.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_verb_prints_problems_of_the_file_and_findings_of_the_run_together()
    {
        var file = Path.Combine(_folder, "run.hocon");
        await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(Path.Combine(ShippedPlugins.Root, "cluster.hocon"))).Replace("evaluate-every = 20 ", "evaluate-evry = 20 ", StringComparison.Ordinal));
        var output = new StringWriter();

        var code = await HostProgram.RunAsync(
            ["--plugins", ShippedPlugins.Folder, "doctor", file, $"run.folder={_folder}", "akka.remote.dot-netty.tcp.hostname=0.0.0.0", "akka.remote.dot-netty.tcp.public-hostname=node1.example"], output, new StringWriter(), isTerminal: false);

        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains("BAD  configuration: ", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("evaluate-every", output.ToString(), StringComparison.Ordinal);
    }

    private static Task<IReadOnlyList<Finding>> LookAsync(BoundRun bound) => new ClusterDoctor(bound, DateTimeOffset.UtcNow).LookAsync(CancellationToken.None);

    private static Finding Single(IEnumerable<Finding> findings, string name) => Assert.Single(findings, finding => finding.Name == name);

    private void Leave(BoundRun bound, string name, Func<NodeCard, NodeCard>? change = null, int? port = null, int? lanePort = null, (string Subject, DateTime Ends)? certificate = null)
    {
        Directory.CreateDirectory(Path.Combine(Run, "nodes", name));
        var card = NodeCards.Of(bound, name, ["rollout"], "127.0.0.1");
        _nodes.Add(new NodeRecord(
            change?.Invoke(card) ?? card, $"akka.tcp://story@127.0.0.1:{port ?? Open()}", "127.0.0.1", lanePort ?? Open(), certificate?.Subject ?? "", certificate?.Ends).Leave(Run));
        NodeClock.Tell(Path.Combine(Run, "nodes", name));
    }

    private int Open()
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        _nodes.Add(listener);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
