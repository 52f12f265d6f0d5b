using System.Globalization;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Runs;

namespace ColossalChat.Host.Commands;

/// <summary>Options of <c>run replay</c>.</summary>
internal sealed record RunReplayOptions
{
    [CliArgument(0)]
    [CliHelp("Run folder, or a run's name.")]
    public required string Run { get; init; }

    [CliHelp("Folder of runs, for names.")]
    public string Folder { get; init; } = "runs";

    [CliHelp("Iteration that is trained again; the last one in the journal when left out.")]
    public long? Iteration { get; init; }

    [CliHelp("Setting key=value that the iteration is trained with instead, to compare; may be repeated.")]
    public IReadOnlyList<string> With { get; init; } = [];

    [CliHelp("One JSON document.")]
    public bool Json { get; init; }
}

/// <summary>Trains an iteration of a run again from its journal.</summary>
internal sealed class RunReplayCommand(HostServices host) : CliCommand<RunReplayOptions>
{
    // What may differ between two parts of one run without changing what is trained.
    private static readonly string[] s_harmless = ["run.", "flow.", "trainer.processes"];

    public override string Path => "run replay";

    public override string Summary => "Train an iteration again from the run's journal: the weights must be the same bits; --with compares another algorithm on the same answers.";

    protected override async Task<ExitCode> RunAsync(RunReplayOptions options, CliContext context, CancellationToken cancel)
    {
        var run = RunReader.Open(options.Run, options.Folder);
        using var journal = RunJournal.Open(run.Folder.Path) ?? throw NothingToReplay(run);
        var iteration = options.Iteration ?? journal.Iterations.Select(known => known.Iteration).DefaultIfEmpty(0).Max();
        var checkpoint = Nearest(run, iteration, context.Error);
        CheckSettings(journal, (checkpoint?.Iteration ?? 0) + 1, iteration);
        using var replayer = new RunReplayer(host, journal);
        var asWas = new ReplayStretch(Config(journal, iteration, []), checkpoint, iteration);
        if (options.With.Count > 0)
        {
            var replayed = await CompareAsync(replayer, asWas, Config(journal, iteration, options.With), cancel).ConfigureAwait(false);
            await new ReplayReport(run, checkpoint, context.Out).ComparedAsync(replayed, options.With, options.Json).ConfigureAwait(false);
            return ExitCode.Ok;
        }

        var iterations = await replayer.RunAsync(asWas, cancel).ConfigureAwait(false);
        await new ReplayReport(run, checkpoint, context.Out).ProvedAsync(iterations, options.Json).ConfigureAwait(false);
        return iterations.All(replayed => replayed.IsIdentical) ? ExitCode.Ok : ExitCode.Failed;
    }

    // Up to the iteration with the run's own settings, so that both algorithms begin with the same weights.
    private static async Task<ReplayedIteration> CompareAsync(RunReplayer replayer, ReplayStretch asWas, LoadedConfig other, CancellationToken cancel)
    {
        var before = asWas.Last - 1;
        var from = asWas.From;
        if (before > (from?.Iteration ?? 0))
            from = await replayer.StateAfterAsync(asWas with { Last = before }, cancel).ConfigureAwait(false);
        return (await replayer.RunAsync(new ReplayStretch(other, from, asWas.Last), cancel).ConfigureAwait(false))[^1];
    }

    private static UserErrorException NothingToReplay(RunReader run)
    {
        var stage = File.Exists(run.Folder.EffectiveConfig) ? FlatSettings.OfFile(run.Folder.EffectiveConfig).GetValueOrDefault("stage.use", "?") : "?";
        return new UserErrorException(
            $"{run.Folder.Path} has no journal, so there is nothing to replay. Offline stages (this is stage {stage}) take their batches from the data set: start the run again with the same seed instead. "
            + "Online stages keep a journal unless run.journal is off.",
            ExitCode.NotFound);
    }

    private static Checkpoint? Nearest(RunReader run, long iteration, TextWriter error)
    {
        foreach (var summary in Checkpoints.List(run.Folder.Path).Where(checkpoint => checkpoint.Iteration < iteration).OrderByDescending(checkpoint => checkpoint.Iteration))
        {
            try
            {
                return Checkpoints.Open(summary.Folder);
            }
            catch (UserErrorException unusable)
            {
                error.WriteLine($"warning: {unusable.Message}");
            }
        }

        return null;
    }

    private static void CheckSettings(RunJournal journal, long first, long last)
    {
        if (journal.ConfigurationOf(last) is not { } meant)
            return;
        var wanted = FlatSettings.Of(meant, "journal");
        for (var iteration = first; iteration < last; iteration++)
        {
            if (journal.ConfigurationOf(iteration) is not { } other || other == meant)
                continue;
            var differing = FlatSettings.Differing(wanted, FlatSettings.Of(other, "journal")).Where(key => !s_harmless.Any(harmless => key.StartsWith(harmless, StringComparison.Ordinal))).ToArray();
            if (differing.Length > 0)
                throw new UserErrorException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"The way to iteration {last} leads from the state after {first - 1} through iteration {iteration}, which was trained with other settings ({string.Join(", ", differing)}), and there is no checkpoint between them. Replay an iteration up to {iteration}; run.keep-checkpoints keeps more of them."));
        }
    }

    // What the run used, environment and files included; nothing of this shell lies over it but --with.
    private static LoadedConfig Config(RunJournal journal, long iteration, IReadOnlyList<string> with)
    {
        var text = journal.ConfigurationOf(iteration)
            ?? throw new UserErrorException(string.Create(CultureInfo.InvariantCulture, $"Iteration {iteration} is not in the journal. {Known(journal)}"), ExitCode.NotFound);
        return ConfigLoader.Load(text, "journal", with, new Dictionary<string, string>(), new NoHoconFiles());
    }

    private static string Known(RunJournal journal) => journal.Iterations is { Count: > 0 } all
        ? string.Create(CultureInfo.InvariantCulture, $"It has iterations {all[0].Iteration} to {all[^1].Iteration}.")
        : "It has no whole iteration yet.";
}
