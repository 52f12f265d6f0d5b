using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using ColossalChat.Cluster;
using ColossalChat.Host.Config;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Nodes;

/// <summary>Tells other nodes who this one is.</summary>
internal static class NodeCards
{
    // Where nodes of one run may differ: what they compute on, how they are reached, and whom they tell about it.
    private static readonly string[] s_own = ["device", "cluster.tls.", "cluster.lane.", "telemetry."];

    /// <summary>This process's card.</summary>
    public static NodeCard Of(BoundRun bound, string name, IReadOnlyList<string> roles, string host)
    {
        var versions = VersionsOf(bound);
        return new NodeCard(
            name, roles, Machine(), host, FreePort(host), Hash(string.Join('\n', versions.OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => $"{entry.Key} {entry.Value}"))), versions, DateTimeOffset.UtcNow);
    }

    /// <summary>What nodes of one run must have in common.</summary>
    public static IReadOnlyDictionary<string, string> VersionsOf(BoundRun bound)
    {
        var settings = FlatSettings.Of(bound.EffectiveText(), "configuration")
            .Where(setting => !s_own.Any(own => setting.Key == own || setting.Key.StartsWith(own, StringComparison.Ordinal)))
            .Select(setting => $"{setting.Key}={setting.Value}");
        var versions = bound.Catalog.Plugins.ToDictionary(plugin => NodeCard.KeyOf(plugin.Name), plugin => $"{plugin.Version} {plugin.Sha256[..12]}");
        versions["program"] = EnvironmentReport.ProgramVersion;
        versions["configuration"] = Hash(string.Join('\n', settings))[..12];
        return versions;
    }

    /// <summary>Tells processes that share memory with this one from all others.</summary>
    public static string Machine() => Hash(SharedGround.Describe())[..16];

    /// <summary>A port that nobody listens on at this moment.</summary>
    public static int FreePort(string host)
    {
        var address = IPAddress.TryParse(host, out var parsed) ? parsed : IPAddress.Any;
        using var listener = new TcpListener(address, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
