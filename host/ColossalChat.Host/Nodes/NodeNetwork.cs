using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Configuration;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Runs;
using ColossalChat.Transfer;

namespace ColossalChat.Host.Nodes;

/// <summary>How a node talks to others.</summary>
/// <param name="ListenOn">Name or address that Akka listens on.</param>
/// <param name="Host">Name or address under which others reach it.</param>
/// <param name="Port">Akka's port; 0 for any.</param>
/// <param name="Seeds">Configured addresses to join through, in the protocol that the nodes speak.</param>
/// <param name="IsEncrypted">Whether that is TLS.</param>
internal sealed record NodeNetwork(string ListenOn, string Host, int Port, IReadOnlyList<string> Seeds, bool IsEncrypted)
{
    private const string HostKey = "akka.remote.dot-netty.tcp.hostname";
    private const string PortKey = "akka.remote.dot-netty.tcp.port";
    private const string SslKey = "akka.remote.dot-netty.tcp.enable-ssl";
    private const string Plain = "akka.tcp://";
    private const string Encrypted = "akka.ssl.tcp://";
    private const string SeedsKey = "akka.cluster.seed-nodes";
    private const string PublicHostKey = "akka.remote.dot-netty.tcp.public-hostname";

    /// <summary>As the configuration has it.</summary>
    public static NodeNetwork Of(BoundRun bound)
    {
        var config = StageRunner.AkkaOf(bound.Config).WithFallback(ConfigurationFactory.ParseString(NodeHocon.Settings));
        var (listenOn, name) = (config.GetString(HostKey), config.GetString(PublicHostKey, ""));
        var isEncrypted = bound.Settings.Cluster.Tls.IsOn || config.GetBoolean(SslKey, false);
        return new NodeNetwork(
            listenOn, name.Length > 0 ? name : listenOn, config.GetInt(PortKey), [.. config.GetStringList(SeedsKey, []).Select(seed => InProtocol(seed, isEncrypted))], isEncrypted);
    }

    /// <summary>
    /// Where to join: the configured seeds, then nodes that left their address in the run folder. So one that is started
    /// again finds the others although the seed is gone, and the seed finds them instead of beginning a second cluster.
    /// </summary>
    /// <param name="own">This node's address.</param>
    /// <param name="known">Addresses of other nodes of the run, some of which may be gone.</param>
    public IReadOnlyList<string> SeedsFor(string own, IReadOnlyList<string> known)
    {
        if (Seeds.Count == 0)
            return [];
        var others = known.Select(address => InProtocol(address, IsEncrypted)).Where(address => address != own);
        return [.. (Seeds[0] == own ? [own, .. others, .. Seeds] : Seeds.Concat(others)).Distinct()];
    }

    /// <summary>The file's <c>akka</c> section over what a node needs; the wire is not the user's.</summary>
    /// <param name="config">The file.</param>
    /// <param name="roles">Of the node.</param>
    /// <param name="identity">For mutual TLS; null for none.</param>
    /// <param name="log">Takes Akka's lines.</param>
    public static ActorSystemSetup SystemSetup(LoadedConfig config, IReadOnlyList<string> roles, TlsIdentity? identity, INodeLog log)
    {
        var own = $"akka.cluster {{ roles = [{string.Join(", ", roles)}], seed-nodes = [] }}\n{(identity is null ? "" : NodeTls.Hocon)}";
        var hocon = ConfigurationFactory.ParseString(WireHocon.Text)
            .WithFallback(ConfigurationFactory.ParseString(own))
            .WithFallback(StageRunner.AkkaOf(config))
            .WithFallback(ConfigurationFactory.ParseString(StageRunner.HostHocon))
            .WithFallback(ConfigurationFactory.ParseString(NodeHocon.Settings))
            .WithFallback(ConfigurationFactory.ParseString(RunHocon.Dispatchers));
        Setup[] setups = [BootstrapSetup.Create().WithConfig(hocon), new AkkaLogSetup(log), .. identity is null ? (Setup[])[] : [NodeTls.SetupOf(identity, log)]];
        return ActorSystemSetup.Create(setups);
    }

    // TLS is switched on by one section: addresses in the file, and those that nodes without TLS left, need no change.
    private static string InProtocol(string address, bool isEncrypted)
    {
        var (wanted, other) = isEncrypted ? (Encrypted, Plain) : (Plain, Encrypted);
        return address.StartsWith(other, StringComparison.Ordinal) ? wanted + address[other.Length..] : address;
    }
}
