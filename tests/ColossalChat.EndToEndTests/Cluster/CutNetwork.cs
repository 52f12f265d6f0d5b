using System.Diagnostics;
using System.Globalization;

namespace ColossalChat.EndToEndTests;

/// <summary>
/// A network of this machine in which each node has a namespace and an address of its own, so that it can be cut between any
/// two of them: packets go nowhere, and nobody is told, as with a cable that was pulled.
/// </summary>
public sealed class CutNetwork : IDisposable
{
    // Of no node: the switch sends what is addressed to it to everybody, and everybody ignores it.
    private const string Nobody = "02:00:00:00:00:01";
    private readonly IReadOnlyList<string> _nodes;
    private readonly string _bridge = $"cc{Environment.ProcessId.ToString(CultureInfo.InvariantCulture)}";
    private readonly int _subnet = Environment.ProcessId % 250;

    /// <summary>Makes it.</summary>
    /// <param name="nodes">Names of all nodes.</param>
    public CutNetwork(IReadOnlyList<string> nodes)
    {
        _nodes = nodes;
        try
        {
            Ip("link", "add", _bridge, "type", "bridge");
            Ip("link", "set", _bridge, "up");
            foreach (var node in nodes)
                Add(node);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Whether this machine lets us make one: network namespaces need root.</summary>
    public static bool IsPossible { get; } = Environment.UserName == "root" && new[] { "/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip" }.Any(File.Exists);

    /// <summary>Address of a node.</summary>
    public string AddressOf(string node) => $"10.213.{_subnet}.{Index(node) + 1}";

    /// <summary>What goes before a command that runs on a node; its process is the command's own.</summary>
    public IReadOnlyList<string> Inside(string node) => ["nsenter", $"--net=/run/netns/{Space(node)}"];

    /// <summary>Cuts the network between two nodes; everybody else still reaches both.</summary>
    public void Cut(string one, string other)
    {
        Ip("-n", Space(one), "neigh", "replace", AddressOf(other), "lladdr", Nobody, "dev", "eth0", "nud", "permanent");
        Ip("-n", Space(other), "neigh", "replace", AddressOf(one), "lladdr", Nobody, "dev", "eth0", "nud", "permanent");
    }

    /// <summary>Mends it again.</summary>
    public void Mend(string one, string other)
    {
        Ip("-n", Space(one), "neigh", "del", AddressOf(other), "dev", "eth0");
        Ip("-n", Space(other), "neigh", "del", AddressOf(one), "dev", "eth0");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var node in _nodes.Where(node => File.Exists($"/run/netns/{Space(node)}")))
            Ip("netns", "del", Space(node));
        if (Directory.Exists($"/sys/class/net/{_bridge}"))
            Ip("link", "del", _bridge);
    }

    private void Add(string node)
    {
        var (space, outside) = (Space(node), $"{_bridge}v{Index(node)}");
        Ip("netns", "add", space);
        Ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", space);
        Ip("link", "set", outside, "master", _bridge, "up");
        Ip("-n", space, "addr", "add", AddressOf(node) + "/24", "dev", "eth0");
        Ip("-n", space, "link", "set", "eth0", "up");
        Ip("-n", space, "link", "set", "lo", "up");
    }

    private int Index(string node) => _nodes.Select((name, index) => (name, index)).First(entry => entry.name == node).index;

    private string Space(string node) => $"{_bridge}-{node}";

    private static void Ip(params string[] arguments)
    {
        var start = new ProcessStartInfo("ip", arguments) { RedirectStandardError = true };
        using var ip = Process.Start(start)!;
        var error = ip.StandardError.ReadToEnd();
        ip.WaitForExit();
        if (ip.ExitCode != 0)
            throw new InvalidOperationException($"ip {string.Join(' ', arguments)}: {error}");
    }
}
