using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Commands;

/// <summary>Options of <c>model estimate-memory</c>.</summary>
internal sealed record EstimateMemoryOptions
{
    [CliArgument(0)]
    [CliHelp("Configuration of a run (HOCON).")]
    public required string File { get; init; }

    [CliArgument(1)]
    [CliHelp("Settings key=value over the file.")]
    public IReadOnlyList<string> Settings { get; init; } = [];

    [CliHelp("Stage of the road, such as sft or ppo; empty takes the file's stage.use.")]
    public string Stage { get; init; } = "";

    [CliHelp("Ranks that train; 0 takes the file's.")]
    public int Ranks { get; init; }

    [CliHelp("One JSON document.")]
    public bool Json { get; init; }
}

/// <summary>Says what each rank of a run will hold; reads no weights and takes no memory for them.</summary>
internal sealed class EstimateMemoryCommand(HostServices host) : CliCommand<EstimateMemoryOptions>
{
    private const int MostRanks = 4096;

    public override string Path => "model estimate-memory";

    public override string Summary => "Bytes that each rank of a run will hold: weights, gradients, optimiser states, on disk.";

    protected override Task<ExitCode> RunAsync(EstimateMemoryOptions options, CliContext context, CancellationToken cancel)
    {
        if (options.Ranks is < 0 or > MostRanks)
            throw new UserErrorException($"--ranks is {options.Ranks}; it must be from 1 to {MostRanks}, or 0 for the file's.", ExitCode.Usage);
        string[] stage = options.Stage.Length > 0 ? [$"stage.use={options.Stage}"] : [];
        var config = ConfigLoader.LoadFile(options.File, [.. stage, .. options.Settings]);
        using var plugins = host.CatalogFor(RunBinder.PluginsOf(config));
        var bound = RunBinder.Bind(config, plugins.Catalog);
        foreach (var remark in bound.Remarks)
            host.Console.Line(remark);
        var estimate = MemoryEstimate.Of(bound, options.Ranks > 0 ? options.Ranks : bound.Settings.Trainer.Ranks, cancel);
        if (options.Json)
            context.Out.WriteLine(estimate.ToJson().ToJsonString());
        else
            estimate.Write(context.Out);
        return Task.FromResult(ExitCode.Ok);
    }
}
