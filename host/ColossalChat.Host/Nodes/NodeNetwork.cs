using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Configuration;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Nodes;

/// <summary>How a node talks to others.</summary>
/// <param name="Host">Name or address under which others reach it.</param>
/// <param name="Seeds">Configured addresses to join through.</param>
internal sealed record NodeNetwork(string Host, IReadOnlyList<string> Seeds)
{
    private const string HostKey = "akka.remote.dot-netty.tcp.hostname";
    private const string SeedsKey = "akka.cluster.seed-nodes";
    private const string PublicHostKey = "akka.remote.dot-netty.tcp.public-hostname";

    /// <summary>As the configuration has it.</summary>
    public static NodeNetwork Of(BoundRun bound)
    {
        var config = StageRunner.AkkaOf(bound.Config).WithFallback(ConfigurationFactory.ParseString(NodeHocon.Settings));
        var name = config.GetString(PublicHostKey, "");
        return new NodeNetwork(name.Length > 0 ? name : config.GetString(HostKey), [.. config.GetStringList(SeedsKey, [])]);
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
        var others = known.Where(address => address != own);
        return [.. (Seeds[0] == own ? [own, .. others, .. Seeds] : Seeds.Concat(others)).Distinct()];
    }

    /// <summary>The file's <c>akka</c> section over what a node needs; the wire is not the user's.</summary>
    public static ActorSystemSetup SystemSetup(LoadedConfig config, IReadOnlyList<string> roles, INodeLog log)
    {
        var own = $"akka.cluster {{ roles = [{string.Join(", ", roles)}], seed-nodes = [] }}";
        var hocon = ConfigurationFactory.ParseString(WireHocon.Text)
            .WithFallback(ConfigurationFactory.ParseString(own))
            .WithFallback(StageRunner.AkkaOf(config))
            .WithFallback(ConfigurationFactory.ParseString(StageRunner.HostHocon))
            .WithFallback(ConfigurationFactory.ParseString(NodeHocon.Settings))
            .WithFallback(ConfigurationFactory.ParseString(RunHocon.Dispatchers));
        return ActorSystemSetup.Create(BootstrapSetup.Create().WithConfig(hocon), new AkkaLogSetup(log));
    }
}
