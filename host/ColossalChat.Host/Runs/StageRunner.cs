using System.Globalization;
using System.Text.Json;
using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Configuration;
using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Ranks;
using ColossalChat.Host.Telemetry;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Runs;

/// <summary>How a run is started, besides its configuration.</summary>
internal sealed record RunRequest(LoadedConfig Config)
{
    /// <summary><c>latest</c>, a run folder or a checkpoint folder; null for a new run.</summary>
    public string? Resume { get; init; }

    /// <summary>Ends the run after this many iterations; null for none.</summary>
    public long? MaxIterations { get; init; }

    /// <summary>Loads everything, shows the plan, changes nothing.</summary>
    public bool IsDryRun { get; init; }
}

/// <summary>
/// Runs stages in this process: plugins, models and actors live for one stage and are given up after it.
/// </summary>
internal sealed class StageRunner(HostServices host) : IStageRunner
{
    /// <inheritdoc/>
    public Task<StageOutcome> RunAsync(string hocon, IReadOnlyList<string> overrides, CancellationToken cancel) =>
        RunAsync(
            new RunRequest(ConfigLoader.Load(hocon, "configuration", overrides, ConfigLoader.CurrentEnvironment(), new DiskHoconFiles())),
            TextWriter.Null,
            cancel);

    /// <summary>Runs one stage to its end.</summary>
    /// <param name="request">What to run.</param>
    /// <param name="output">Takes the plan of a dry run.</param>
    /// <param name="cancel">Stops after the running step and saves a checkpoint.</param>
    /// <exception cref="UserErrorException">The configuration or the data is invalid.</exception>
    public async Task<StageOutcome> RunAsync(RunRequest request, TextWriter output, CancellationToken cancel)
    {
        using var plugins = host.CatalogFor(RunBinder.PluginsOf(request.Config));
        // Nothing here keeps what is bound itself, whose options are objects of plugins that may be exchanged.
        var binding = new RunBinding(RunBinder.Bind(request.Config, plugins.Catalog));
        foreach (var remark in binding.Current.Remarks)
            host.Console.Line(remark);
        if (request.IsDryRun)
            return DryRun(binding, request.Resume, output, cancel);

        using var going = host.BeginRun();
        // A stop before this line finds nothing to save, and must leave nothing.
        cancel.ThrowIfCancellationRequested();
        var (folder, checkpoint) = OpenFolder(binding.Current, request.Resume);
        var isMended = false;
        try
        {
            var outcome = await RunAsync(binding, request, (folder, checkpoint), cancel).ConfigureAwait(false);
            // A mistake or a wish of the user that ended the run before it did anything; other failures keep their log.
            isMended = outcome.ExitCode is ExitCode.Usage or ExitCode.Invalid or ExitCode.NotFound or ExitCode.Interrupted;
            return isMended && checkpoint is null && folder.IsUnused() ? outcome with { RunFolder = "" } : outcome;
        }
        catch (UserErrorException)
        {
            isMended = true;
            throw;
        }
        finally
        {
            if (isMended && checkpoint is null && folder.IsUnused())
                folder.GiveUp();
        }
    }

    private async Task<StageOutcome> RunAsync(
        RunBinding binding, RunRequest request, (RunFolder Folder, Checkpoint? Checkpoint) place, CancellationToken cancel)
    {
        var (folder, checkpoint) = place;
        using var held = folder.Hold();
        using var log = new NodeLog(host.Console, host.IsVerbose, folder.Log, binding.Current.Settings.Telemetry.JsonLog ? folder.JsonLog : null);
        KeepEnvironment(folder, checkpoint, binding.Current.Catalog);
        using var node = NodeOf(binding, folder.Path, log);
        log.Info($"run folder {folder.Path}, seed {node.Seed}, device {node.Device}");
        return await host.Console.WithLiveLineAsync(
            "loading",
            show => DriveAsync(binding, node, new Drive(request, folder, checkpoint, log, show), cancel)).ConfigureAwait(false);
    }

    // Where and how the run began stays as it is; each continuation has a file beside it.
    private static void KeepEnvironment(RunFolder folder, Checkpoint? checkpoint, PluginCatalog catalog)
    {
        var file = checkpoint is null || !File.Exists(folder.EnvironmentFile)
            ? folder.EnvironmentFile
            : folder.In($"env.{Path.GetFileName(checkpoint.Folder)}.json");
        File.WriteAllText(file, JsonSerializer.Serialize(EnvironmentReport.Of(catalog), s_indented));
    }

    private static readonly JsonSerializerOptions s_indented = new(JsonLines.Format) { WriteIndented = true };

    private sealed record Drive(RunRequest Request, RunFolder Folder, Checkpoint? Checkpoint, NodeLog Log, Action<string> Show);

    private async Task<StageOutcome> DriveAsync(RunBinding binding, NodeContext node, Drive drive, CancellationToken cancel)
    {
        var sinks = (binding.Current.Settings.Run.Sinks ?? []).Select(name => node.Resolve<IMetricSinkFactory>(name).Open(drive.Folder.Path)).ToArray();
        var (told, runId) = (binding.Current.Settings.Telemetry, drive.Folder.IdentityFor(binding.Current.Settings.Telemetry));
        await using var telemetry = (await NodeTelemetry.StartAsync(told, drive.Folder, runId, node: "", drive.Log).ConfigureAwait(false)).ConfigureAwait(false);
        using var ranks = TrainerRanks.Of(binding, node, host, drive.Folder.Path, drive.Log);
        Action<string> show = host.Console.IsTerminal ? drive.Show : host.Console.Line;
        using var recorder = new RunRecorder(drive.Folder, new RecorderSettings(drive.Log, host.Console, show, sinks)
        {
            SamplesEvery = binding.Current.Settings.Run.SamplesEvery,
            IsResumed = drive.Checkpoint is not null,
            MaxIterations = drive.Request.MaxIterations,
        });
        using var exchange = new PluginExchange(binding, node, drive.Folder, WatchOf(binding.Current), drive.Log);
        exchange.NoteAll(drive.Checkpoint?.Iteration ?? 0);
        var definition = DefinitionOf(binding, node, drive, ranks, recorder, exchange);
        var system = ActorSystem.Create("colossalchat", SystemSetup(drive.Request.Config, drive.Log));
        try
        {
            var end = await Cluster.Run.StartAsync(system, definition, cancel).ConfigureAwait(false);
            if (end.Failure is { } failure)
                recorder.Failed(failure, end.LastIteration);
            else
                recorder.Ended(end.ExitCode, end.LastIteration);
            return new StageOutcome(end.ExitCode, drive.Folder.Path, end.ModelFolders, recorder.Last);
        }
        finally
        {
            // The system's end waits for calls that are going on. Ranks in processes are there only when their attempt could
            // not be ended, and those calls return when the processes are gone.
            ranks.Dispose();
            await system.Terminate().ConfigureAwait(false);
            foreach (var retired in exchange.CollectAll())
                drive.Log.Debug(retired.Message);
            foreach (var sink in sinks)
                sink.Dispose();
        }
    }

    /// <summary>How a run keeps its samples; null for one that has none.</summary>
    internal static JournalSettings? JournalOf(BoundRun bound) => bound.Plan.Flow == FlowKind.Online && bound.Settings.Run.Journal
        ? new JournalSettings
        {
            ExperienceOrigin = ExperienceOrigin.Of(bound),
            Configuration = bound.EffectiveText(),
            KeepIterations = bound.Settings.Run.KeepJournal,
        }
        : null;

    private static RunDefinition DefinitionOf(RunBinding binding, NodeContext node, Drive drive, TrainerRanks ranks, RunRecorder recorder, PluginExchange exchange)
    {
        var settings = binding.Current.Settings;
        return new RunDefinition
        {
            Plan = binding.Current.Plan,
            Roles = RoleMakers.Of(binding, node, ranks),
            Devices = node.Devices,
            Device = settings.Device,
            RunFolder = drive.Folder.Path,
            RunId = drive.Folder.IdentityFor(binding.Current.Settings.Telemetry),
            CheckpointEvery = settings.Run.CheckpointEvery,
            KeepCheckpoints = settings.Run.KeepCheckpoints,
            KeepBest = settings.Run.KeepBest.Length > 0 ? new BestRule(settings.Run.KeepBest, settings.Run.BestIs) : null,
            MaxIterations = drive.Request.MaxIterations,
            ResumeFrom = drive.Checkpoint,
            Journal = JournalOf(binding.Current),
            Observer = recorder,
            Plugins = exchange,
            Flow = settings.Flow,
        };
    }

    /// <summary>Looks after the plugin folders that the configuration says are watched; null for none.</summary>
    internal static PluginWatch? WatchOf(BoundRun bound)
    {
        var watched = bound.Catalog.Plugins.Where(plugin => bound.Settings.Plugins.Watches(plugin.Folder)).ToDictionary(plugin => plugin.Name, plugin => plugin.Folder);
        return watched.Count > 0 ? new PluginWatch(watched) : null;
    }

    private StageOutcome DryRun(RunBinding binding, string? resume, TextWriter output, CancellationToken cancel)
    {
        var from = resume is null ? null : FindRun(binding.Current, resume, mayMend: false).Checkpoint;
        using var log = new NodeLog(host.Console, host.IsVerbose);
        using var node = NodeOf(binding, null, log);
        if (from is not null)
            output.WriteLine($"continues after iteration {from.Iteration.ToString(CultureInfo.InvariantCulture)} from {from.Folder}");
        Runs.DryRun.Show(binding, node, output, cancel);
        return new StageOutcome(ExitCode.Ok, "", new Dictionary<string, string>(), new Dictionary<string, double>());
    }

    private (RunFolder Folder, Checkpoint? Checkpoint) OpenFolder(BoundRun bound, string? resume)
    {
        if (resume is null)
            return (RunFolder.Create(bound.Settings.Run.Folder, NameOf(bound), bound.EffectiveText()), null);
        var (folder, checkpoint) = FindRun(bound, resume, mayMend: true);
        // What the run began with stays as it is; a changed configuration is kept beside it.
        var effective = bound.EffectiveText();
        using (folder.Hold())
            if (!File.Exists(folder.EffectiveConfig) || File.ReadAllText(folder.EffectiveConfig) != effective)
                File.WriteAllText(folder.In($"config.effective.{Path.GetFileName(checkpoint.Folder)}.hocon"), effective);
        return (folder, checkpoint);
    }

    // Refuses what does not fit before anything of the run is changed.
    private (RunFolder Folder, Checkpoint Checkpoint) FindRun(BoundRun bound, string resume, bool mayMend)
    {
        var (folder, checkpoint) = RunFolder.Find(resume, bound.Settings.Run.Folder, NameOf(bound), host.Console.Line, mayMend);
        if (!File.Exists(folder.EffectiveConfig))
            return (folder, checkpoint);
        var (before, now) = (FlatSettings.OfFile(folder.EffectiveConfig), FlatSettings.Of(bound.EffectiveText(), "configuration"));
        FlatSettings.CheckStage(before, now, folder.Path);
        if (FlatSettings.Differing(before, now) is { Count: > 0 } differing)
            host.Console.Line($"note: settings differ from {folder.EffectiveConfig}: {string.Join(", ", differing)}");
        return (folder, checkpoint);
    }

    private static string NameOf(BoundRun bound) =>
        bound.Settings.Run.Name.Length > 0 ? bound.Settings.Run.Name : bound.Settings.Stage.Name;

    private NodeContext NodeOf(RunBinding binding, string? runFolder, INodeLog log) =>
        new(NodeSetup.Of(binding, runFolder, log) with { Devices = host.Devices });

    /// <summary>The file's <c>akka</c> section over what a run needs.</summary>
    internal static ActorSystemSetup SystemSetup(LoadedConfig config, INodeLog log)
    {
        var hocon = AkkaOf(config)
            .WithFallback(ConfigurationFactory.ParseString(HostHocon))
            .WithFallback(ConfigurationFactory.ParseString(RunHocon.Dispatchers));
        return ActorSystemSetup.Create(BootstrapSetup.Create().WithConfig(hocon), new AkkaLogSetup(log));
    }

    /// <summary>The file's <c>akka</c> section.</summary>
    internal static Akka.Configuration.Config AkkaOf(LoadedConfig config) => ConfigurationFactory.ParseString(HoconWriter.Write(
        new ConfigSection("", ConfigLoader.DefaultPlace, new Dictionary<string, ConfigNode> { [ConfigLoader.Akka] = config.Section(ConfigLoader.Akka) })));

    // Standard output belongs to results, so every line of Akka goes through our logger.
    internal static readonly string HostHocon =
        $$"""
        akka {
          loglevel = WARNING
          stdout-loglevel = OFF
          loggers = ["{{typeof(AkkaLog).AssemblyQualifiedName}}"]
          log-dead-letters-during-shutdown = off
          coordinated-shutdown.exit-clr = off
          coordinated-shutdown.run-by-clr-shutdown-hook = off
        }
        """;
}
