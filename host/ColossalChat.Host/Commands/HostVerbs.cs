using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Nodes;
using ColossalChat.Host.Ranks;
using ColossalChat.PluginHost.Verbs;

namespace ColossalChat.Host.Commands;

/// <summary>The host's own verbs.</summary>
internal static class HostVerbs
{
    public static IEnumerable<ICliCommand> All(HostServices host) =>
    [
        new TrainCommand(host),
        new NodeCommand(host),
        new ClusterStatusCommand(),
        new ClusterLeaveCommand(),
        new ClusterStopCommand(),
        new RankCommand(host),
        new ConfigValidateCommand(host),
        new ConfigPrintCommand(host),
        new RunListCommand(),
        new RunShowCommand(),
        new RunMetricsCommand(),
        new RunCompareCommand(),
        new RunReplayCommand(host),
        new EstimateMemoryCommand(host),
        new PluginSwapCommand(),
        new DoctorCommand(host),
        new EnvCommand(host),
        new TransportBenchCommand(),
        .. PluginVerbs.All(host.Catalog, RunBinder.ReadPins),
    ];
}
