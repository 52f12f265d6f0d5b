using System.Net;
using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Remote.Transport.DotNetty;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Transfer;

namespace ColossalChat.Host.Nodes;

/// <summary>Section <c>cluster.tls</c> as each kind of connection wants it: the same certificate and the same authorities for all.</summary>
internal static class NodeTls
{
    /// <summary>Akka's own settings: whoever shows no certificate is not spoken to.</summary>
    public const string Hocon = "akka.remote.dot-netty.tcp { enable-ssl = on, ssl { suppress-validation = off, require-mutual-authentication = on, validate-certificate-hostname = off } }";

    private static readonly TimeSpan s_call = TimeSpan.FromSeconds(2);

    /// <summary>Files of the section; null when TLS is off.</summary>
    public static TlsSettings? FilesOf(ClusterTls tls) => tls.IsOn
        ? new TlsSettings { CertificateFile = tls.Certificate, KeyFile = tls.Key, Password = tls.Password, AuthoritiesFile = tls.Authorities, Names = tls.Names }
        : null;

    /// <summary>The lane's settings.</summary>
    /// <param name="cluster">Section <c>cluster</c>.</param>
    /// <param name="network">How Akka talks to others: the lane does the same unless it is told otherwise.</param>
    /// <param name="spillFolder">Where blocks go for which memory has no room.</param>
    public static LaneSettings LaneOf(ClusterOptions cluster, NodeNetwork network, string spillFolder) => new()
    {
        Host = cluster.Lane.Host.Length > 0 ? cluster.Lane.Host : network.ListenOn,
        AdvertisedHost = cluster.Lane.AdvertisedHost.Length > 0 ? cluster.Lane.AdvertisedHost : network.Host,
        Port = cluster.Lane.Port,
        Quota = cluster.Lane.Quota,
        Transfers = cluster.Lane.Transfers,
        SpillFolder = spillFolder,
        Tls = FilesOf(cluster.Tls),
    };

    /// <summary>Akka shows our certificate, and takes the word of our authorities only, whatever the machine trusts.</summary>
    public static Setup SetupOf(TlsIdentity identity, INodeLog log) => new DotNettySslSetup(
        identity.Certificate,
        suppressValidation: false,
        requireMutualAuthentication: true,
        (certificate, chain, peer, _, _) =>
        {
            if (identity.WhyRefused(certificate, chain) is not { } why)
                return true;
            log.Warning($"Akka's connection with {peer} was refused: {why}");
            return false;
        });

    /// <summary>
    /// Those addresses where one of us answers. What a killed process left may belong to another program by now, and Akka
    /// ends a node whose own call meets somebody without a good certificate.
    /// </summary>
    public static IReadOnlyList<string> Trusted(IReadOnlyList<string> addresses, TlsIdentity identity) =>
    [
        .. addresses.AsParallel().AsOrdered().WithDegreeOfParallelism(Math.Max(1, addresses.Count))
            .Where(text => Address.Parse(text) is { Host: { } host, Port: { } port } && identity.Meets(host, port, s_call)),
    ];

    /// <summary>What everybody who can reach a node without TLS may do; null when there is nothing to fear.</summary>
    /// <param name="cluster">Section <c>cluster</c>.</param>
    /// <param name="network">How the node talks to others.</param>
    public static string? RiskOf(ClusterOptions cluster, NodeNetwork network)
    {
        if (cluster.Tls.IsOn)
            return null;
        string[] hosts = [network.ListenOn, network.Host, cluster.Lane.Host, cluster.Lane.AdvertisedHost];
        return hosts.FirstOrDefault(host => host.Length > 0 && !IsLoopback(host)) is { } open
            ? $"The node is reached at {open} without TLS: whoever reaches its ports can join the run, read its data and change its weights. Set cluster.tls, or keep everybody else off this network."
            : null;
    }

    private static bool IsLoopback(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address));
}
