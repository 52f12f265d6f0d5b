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
internal sealed record NodeNetwork(string Host)
{
    private const string HostKey = "akka.remote.dot-netty.tcp.hostname";
    private const string PublicHostKey = "akka.remote.dot-netty.tcp.public-hostname";

    /// <summary>As the configuration has it.</summary>
    public static NodeNetwork Of(BoundRun bound)
    {
        var config = StageRunner.AkkaOf(bound.Config).WithFallback(ConfigurationFactory.ParseString(NodeHocon.Settings));
        var name = config.GetString(PublicHostKey, "");
        return new NodeNetwork(name.Length > 0 ? name : config.GetString(HostKey));
    }

    /// <summary>The file's <c>akka</c> section over what a node needs; the wire is not the user's.</summary>
    public static ActorSystemSetup SystemSetup(LoadedConfig config, IReadOnlyList<string> roles, INodeLog log)
    {
        var own = $"akka.cluster.roles = [{string.Join(", ", roles)}]";
        var hocon = ConfigurationFactory.ParseString(WireHocon.Text)
            .WithFallback(ConfigurationFactory.ParseString(own))
            .WithFallback(StageRunner.AkkaOf(config))
            .WithFallback(ConfigurationFactory.ParseString(StageRunner.HostHocon))
            .WithFallback(ConfigurationFactory.ParseString(NodeHocon.Settings))
            .WithFallback(ConfigurationFactory.ParseString(RunHocon.Dispatchers));
        return ActorSystemSetup.Create(BootstrapSetup.Create().WithConfig(hocon), new AkkaLogSetup(log));
    }
}
