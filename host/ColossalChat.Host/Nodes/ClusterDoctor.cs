using System.Globalization;
using ColossalChat.Cluster;
using ColossalChat.Host.Commands;
using ColossalChat.Host.Config;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Nodes;

/// <summary>Looks for what keeps the nodes of a run from working together: at this machine, and at nodes that are up by what they left in the run folder.</summary>
/// <param name="bound">The run.</param>
/// <param name="now">The time.</param>
internal sealed class ClusterDoctor(BoundRun bound, DateTimeOffset now)
{
    private static readonly TimeSpan s_soon = TimeSpan.FromDays(30);
    private readonly RunFolder _folder = RunBinder.RunFolderOf(bound.Settings.Run);
    private readonly ClusterOptions _cluster = bound.Settings.Cluster;
    private readonly NodeNetwork _network = NodeNetwork.Of(bound);

    /// <summary>Everything at once.</summary>
    public async Task<IReadOnlyList<Finding>> LookAsync(CancellationToken cancel)
    {
        var (status, isLed) = await new GoingRun(_folder).StatusAsync(cancel).ConfigureAwait(false);
        var led = isLed ? status : null;
        var nodes = NodesUp(led);
        return
        [
            Storage(), .. Certificates(nodes), .. Encryption(), .. Ports(nodes), .. await ReachAsync(nodes, cancel).ConfigureAwait(false), .. Leader(led),
            .. SharedFolder(led, nodes), .. Versions(nodes), .. led is { Nodes.Count: > 0 } ? Clocks(led) : Clocks(nodes), .. Count(led, nodes),
        ];
    }

    private async Task<IReadOnlyList<Finding>> ReachAsync(List<NodeRecord> nodes, CancellationToken cancel)
    {
        // What is wrong with the files is told already, and who speaks another protocol cannot be called.
        var files = NodeTls.FilesOf(_cluster.Tls);
        if (files?.Inspect().Problems.Count > 0)
            return nodes.Count == 0 ? [] : [new Finding("reach", true, "without a good certificate here no node can be called; their ports were not checked", IsWarning: true)];
        using var identity = files?.Load();
        return await new NodeReach(identity).LookAsync([.. nodes.Where(node => (node.Certificate.Length > 0) == _cluster.Tls.IsOn)], cancel).ConfigureAwait(false);
    }

    // Storage that shares no locks makes a living node look dead, but not when the coordinator hears of it.
    private List<NodeRecord> NodesUp(ClusterStatus? led) =>
        [.. NodeRecord.All(_folder.Path).Where(node => node.IsAlive || led?.Nodes.Any(known => known.Name == node.Record.Card.Name) == true).Select(node => node.Record)];

    private Finding Storage() => StorageProbe.Look(_folder.Path) is { } problem
        ? new Finding("run folder", false, problem)
        : new Finding("run folder", true, $"{Path.GetFullPath(_folder.Path)}: files are renamed, flushed and locked as a run needs it");

    private IEnumerable<Finding> Certificates(List<NodeRecord> nodes)
    {
        if (NodeTls.FilesOf(_cluster.Tls) is { } files)
        {
            var facts = files.Inspect();
            foreach (var problem in facts.Problems)
                yield return new Finding("certificate", false, problem);
            if (facts.Problems.Count == 0)
                yield return Validity("certificate", facts.Subject, facts.NotAfter.GetValueOrDefault(), "; the key is its own, and our authorities vouch for it");
        }

        foreach (var node in nodes.Where(node => (node.Certificate.Length > 0) != _cluster.Tls.IsOn))
            yield return new Finding("certificate", false, $"node {node.Card.Name} speaks {(_cluster.Tls.IsOn ? "without TLS, and this configuration with it" : "TLS, and this configuration does not")}; they cannot meet. Give all nodes section cluster.tls, or none.");
        foreach (var node in nodes.Where(node => node.CertificateEnds - now.UtcDateTime < s_soon))
            yield return Validity($"certificate of {node.Card.Name}", node.Certificate, node.CertificateEnds.GetValueOrDefault(), "");
    }

    private Finding Validity(string name, string subject, DateTime ends, string more)
    {
        var (left, date) = (ends - now.UtcDateTime, $"{subject}, valid until {ends.ToString("u", CultureInfo.InvariantCulture)}");
        if (left < TimeSpan.Zero)
            return new Finding(name, false, $"{date}: it has expired, and nobody lets it in any more. Renew it and start the node again.");
        return left < s_soon
            ? new Finding(name, true, string.Create(CultureInfo.InvariantCulture, $"{date}: {left.TotalDays:0} days from now. Renew it in time{more}"), IsWarning: true)
            : new Finding(name, true, date + more);
    }

    private IEnumerable<Finding> Encryption()
    {
        if (NodeTls.RiskOf(_cluster, _network) is { } risk)
            yield return new Finding("encryption", true, risk, IsWarning: true);
    }

    private IEnumerable<Finding> Ports(List<NodeRecord> nodes)
    {
        var here = nodes.Where(node => node.Card.Machine == NodeCards.Machine()).ToArray();
        (string Name, string Host, int Port, Func<NodeRecord, int> Of)[] ports =
        [
            ("Akka", _network.ListenOn, _network.Port, node => Akka.Actor.Address.Parse(node.Address).Port ?? 0),
            ("the lane", NodeTls.LaneOf(_cluster, _network, "").Host, _cluster.Lane.Port, node => node.LanePort),
            ("Prometheus", bound.Settings.Telemetry.PrometheusHost, bound.Settings.Telemetry.PrometheusPort, _ => 0),
        ];
        foreach (var (name, host, port, of) in ports.Where(one => one.Port > 0 || one.Name != "Prometheus"))
        {
            var owner = port > 0 ? here.FirstOrDefault(node => of(node) == port) : null;
            var problem = owner is null ? PortProbe.Look(host, port) : null;
            yield return problem is null
                ? new Finding("port", true, $"{name} at {host}: {(owner is not null ? $"{port} is open for node {owner.Card.Name}" : port == 0 ? "any free port" : $"{port} is free")}")
                : new Finding("port", false, $"{name} cannot open port {port} at {host}: {problem}{(port > 0 && here.Length > 0 ? $" Nodes of this run on this machine: {string.Join(", ", here.Select(node => node.Card.Name))}; give each a port of its own, or 0." : "")}");
        }
    }

    private static IEnumerable<Finding> Leader(ClusterStatus? led)
    {
        if (led is null)
            yield break;
        yield return new Finding("coordinator", true, $"{led.Coordinator} leads attempt {led.Epoch.ToString(CultureInfo.InvariantCulture)}");
        if (led.Missing.Length > 0)
            yield return new Finding("nodes", true, $"the run waits: {led.Missing}", IsWarning: true);
        foreach (var node in led.Nodes.Where(node => !node.IsReachable))
            yield return new Finding("nodes", false, $"{node.Name} at {node.Host} does not answer since {node.LastHeard.UtcDateTime:u}; is its process there, and the network between?");
    }

    // Each node wrote its card into what is the run folder to it. The coordinator, whose status is here, knows all of them.
    private IEnumerable<Finding> SharedFolder(ClusterStatus? led, List<NodeRecord> nodes)
    {
        if (led is null)
            yield break;
        var elsewhere = led.Nodes.Where(node => nodes.All(record => record.Card.Name != node.Name)).ToArray();
        foreach (var node in elsewhere)
            yield return new Finding("shared run folder", false, node.Roles.Contains(RunNodes.CoordinatorRole)
                ? $"{node.Name} at {node.Host} may lead the run and does not write into {Path.GetFullPath(_folder.Path)}: its run folder is another one, and it would begin the run anew. Mount the same storage there, and give it the same run.folder."
                : $"{node.Name} at {node.Host} does not write into {Path.GetFullPath(_folder.Path)}: its run folder is another one, so checkpoints of its roles are not found. Mount the same storage there, and give it the same run.folder.");
        if (elsewhere.Length == 0 && led.Nodes.Count > 0)
            yield return new Finding("shared run folder", true, $"all {led.Nodes.Count} nodes write into it: {string.Join(", ", led.Nodes.Select(node => node.Name))}");
    }

    private IEnumerable<Finding> Versions(List<NodeRecord> nodes)
    {
        if (nodes.Count == 0)
            yield break;
        var own = NodeCards.VersionsOf(bound);
        var isSame = true;
        foreach (var node in nodes.Select(node => node.Card))
        {
            var differences = node.DifferencesTo(own);
            if (differences.Length == 0)
                continue;
            isSame = false;
            yield return new Finding("versions", false, $"{node.Name} at {node.Host}: {differences}. Nodes of one run have the same program, plugins and configuration.");
        }

        if (isSame)
            yield return new Finding("versions", true, $"program, {bound.Catalog.Plugins.Count} plugins by their hashes, and configuration are the same here and on {nodes.Count} nodes: {string.Join(", ", nodes.Select(node => node.Card.Name))}");
    }

    private IEnumerable<Finding> Clocks(ClusterStatus led)
    {
        var off = led.Nodes.Where(node => Math.Abs(node.ClockAhead) > _cluster.ClockSkew).ToArray();
        foreach (var node in off)
            yield return new Finding("clocks", false, string.Create(CultureInfo.InvariantCulture, $"{node.Name} at {node.Host} is {node.ClockAhead:+0.0;-0.0} s from the coordinator's clock; cluster.clock-skew allows {_cluster.ClockSkew}. Let the machines follow a time server; certificates are judged by their clocks too."));
        if (off.Length == 0)
            yield return new Finding("clocks", true, string.Create(CultureInfo.InvariantCulture, $"within {led.Nodes.Max(node => Math.Abs(node.ClockAhead)):0.0} s of the coordinator's"));
    }

    // Nobody leads, so nobody has compared them: each is compared with this machine's through the storage's clock.
    private IEnumerable<Finding> Clocks(List<NodeRecord> nodes)
    {
        if (nodes.Count == 0)
            yield break;
        var here = NodeClock.AheadHere(_folder.Path).TotalSeconds;
        var clocks = nodes.Select(node => (node.Card, Ahead: NodeClock.AheadOfStorage(Path.Combine(_folder.Path, "nodes", node.Card.Name))?.TotalSeconds - here)).ToArray();
        foreach (var (card, ahead) in clocks.Where(clock => clock.Ahead is not { } ahead || Math.Abs(ahead) > _cluster.ClockSkew))
            yield return ahead is null
                ? new Finding("clocks", true, $"{card.Name} at {card.Host} has not said yet what time it has; its clock was not checked", IsWarning: true)
                : new Finding("clocks", false, string.Create(CultureInfo.InvariantCulture, $"{card.Name} at {card.Host} is {ahead:+0.0;-0.0} s from this machine's clock; cluster.clock-skew allows {_cluster.ClockSkew}. Let the machines follow a time server; certificates are judged by their clocks too."));
        if (clocks.All(clock => Math.Abs(clock.Ahead ?? double.MaxValue) <= _cluster.ClockSkew))
            yield return new Finding("clocks", true, string.Create(CultureInfo.InvariantCulture, $"within {clocks.Max(clock => Math.Abs(clock.Ahead ?? 0)):0.0} s of this machine's"));
    }

    private static IEnumerable<Finding> Count(ClusterStatus? led, List<NodeRecord> nodes)
    {
        var count = Math.Max(led?.Nodes.Count ?? 0, nodes.Count);
        if (count == 2)
            yield return new Finding("nodes", true, ClusterOptions.TwoNodes, IsWarning: true);
        else if (count == 0)
            yield return new Finding("nodes", true, "none is up, so their ports, certificates, versions, clocks and run folders were not checked; start some and look again");
    }
}
