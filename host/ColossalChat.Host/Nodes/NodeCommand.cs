using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;

namespace ColossalChat.Host.Nodes;

/// <summary>Options of <c>node</c>.</summary>
internal sealed record NodeOptions
{
    [CliArgument(0)]
    [CliHelp("Configuration of the run, the same on every node; stage.use names the stage.")]
    public required string File { get; init; }

    [CliArgument(1)]
    [CliHelp("Settings key=value over the file.")]
    public IReadOnlyList<string> Settings { get; init; } = [];

    [CliHelp("What this node may host, with commas: coordinator, rollout, reference, critic, reward, trainer. Default all.")]
    public string Roles { get; init; } = "";
}

/// <summary>Starts one node of a cluster: it joins the others and hosts what the run wants there, until the run has ended.</summary>
internal sealed class NodeCommand(HostServices host) : CliCommand<NodeOptions>
{
    public override string Path => "node";

    public override string Summary => "Start a node of a cluster; the same file on every node, roles from --roles.";

    protected override async Task<ExitCode> RunAsync(NodeOptions options, CliContext context, CancellationToken cancel)
    {
        var roles = RolesOf(options.Roles);
        var config = ConfigLoader.LoadFile(options.File, options.Settings);
        using var plugins = host.CatalogFor(RunBinder.PluginsOf(config));
        // Nothing here keeps what is bound itself, whose options are objects of plugins that may be exchanged.
        var binding = new RunBinding(RunBinder.Bind(config, plugins.Catalog));
        _ = RunBinder.RunFolderOf(binding.Current.Settings.Run);
        using var going = host.BeginRun();
        var over = await new NodeRunner(host, binding, roles).RunAsync(cancel).ConfigureAwait(false);
        await context.Out.WriteLineAsync(over.Message).ConfigureAwait(false);
        return over.ExitCode;
    }

    /// <summary>The roles that a command line names.</summary>
    /// <exception cref="UserErrorException">Some are none.</exception>
    internal static IReadOnlyList<string> RolesOf(string words)
    {
        string[] roles = [.. words.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Distinct()];
        var odd = roles.Except(ClusterOptions.RoleNames).ToArray();
        if (odd.Length > 0)
            throw new UserErrorException($"--roles has {string.Join(", ", odd)}; a node may have {string.Join(", ", ClusterOptions.RoleNames)}.", ExitCode.Usage);
        return roles.Length == 0 ? ClusterOptions.RoleNames : roles;
    }
}
