using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Cli;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Commands;

/// <summary>Options of <c>train</c>.</summary>
internal sealed record TrainOptions
{
    [CliArgument(0)]
    [CliHelp("Stage of the road, such as sft, reward-model or ppo; sets stage.use.")]
    public required string Stage { get; init; }

    [CliArgument(1)]
    [CliHelp("Configuration of the run (HOCON); cluster.hocon explains every key.")]
    public required string File { get; init; }

    [CliArgument(2)]
    [CliHelp("Settings key=value over the file, such as seed=7 or roles.rollout.max-new-tokens=32.")]
    public IReadOnlyList<string> Settings { get; init; } = [];

    [CliHelp("Load configuration, plugins, models and data, take two batches, show the plan; make no step.")]
    public bool DryRun { get; init; }

    [CliHelp("Continue a run: 'latest', a run folder or a checkpoint folder.")]
    public string? Resume { get; init; }

    [CliHelp("End after this many iterations, counted from the start of the run.")]
    public long? MaxSteps { get; init; }
}

/// <summary>Runs one stage.</summary>
internal sealed class TrainCommand(HostServices host) : CliCommand<TrainOptions>
{
    public override string Path => "train";

    public override string Summary => "Run a training stage from a configuration file.";

    protected override Task<ExitCode> RunAsync(TrainOptions options, CliContext context, CancellationToken cancel)
    {
        if (options.MaxSteps is < 1)
            throw new UserErrorException($"--max-steps is {options.MaxSteps}; it must be 1 or more.", ExitCode.Usage);
        var config = ConfigLoader.LoadFile(options.File, [$"stage.use={options.Stage}", .. options.Settings]);
        var request = new RunRequest(config) { Resume = options.Resume, MaxIterations = options.MaxSteps, IsDryRun = options.DryRun };
        return RunAsync(host, request, context, cancel);
    }

    /// <summary>Runs a stage and says how it ended and how to go on.</summary>
    internal static async Task<ExitCode> RunAsync(HostServices host, RunRequest request, CliContext context, CancellationToken cancel)
    {
        var outcome = await new StageRunner(host).RunAsync(request, context.Out, cancel).ConfigureAwait(false);
        if (outcome.RunFolder.Length == 0)
            return outcome.ExitCode;
        foreach (var (model, folder) in outcome.ModelFolders.OrderBy(entry => entry.Key, StringComparer.Ordinal))
            await context.Out.WriteLineAsync($"model {model}: {folder}").ConfigureAwait(false);
        await context.Out.WriteLineAsync($"run folder: {outcome.RunFolder}").ConfigureAwait(false);
        if (ResumeHint(outcome, host.Arguments) is { } hint)
            await context.Out.WriteLineAsync(hint).ConfigureAwait(false);
        return outcome.ExitCode;
    }

    /// <summary>How an interrupted run goes on: the command that was typed, with the run; null when there is nothing to go on from.</summary>
    internal static string? ResumeHint(StageOutcome outcome, IReadOnlyList<string> arguments) =>
        outcome.ExitCode == ExitCode.Interrupted && Checkpoints.Any(outcome.RunFolder)
            ? $"resume with: colossalchat {ShellWords.Join(Resuming(arguments, outcome.RunFolder))}"
            : null;

    private static List<string> Resuming(IReadOnlyList<string> arguments, string runFolder)
    {
        var words = new List<string>();
        var options = arguments.TakeWhile(word => word != "--").ToArray();
        for (var i = 0; i < options.Length; i++)
        {
            if (options[i] == ResumeFlag)
                i++; // Its value goes with it.
            else if (!options[i].StartsWith(ResumeFlag + "=", StringComparison.Ordinal) && !options[i].StartsWith(ResumeFlag + ":", StringComparison.Ordinal))
                words.Add(options[i]);
        }

        return [.. words, ResumeFlag, runFolder, .. arguments.Skip(options.Length)];
    }

    private const string ResumeFlag = "--resume";
}
