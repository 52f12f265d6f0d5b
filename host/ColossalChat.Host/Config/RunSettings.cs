using ColossalChat.Cluster;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.PluginHost;

namespace ColossalChat.Host.Config;

/// <summary>Everything a run is configured with; section <c>colossalchat</c> of its file.</summary>
public sealed record RunSettings : ICheckedOptions
{
    /// <summary>The stage of the road: which roles take part and how long. <c>train STAGE</c> sets <c>use</c>.</summary>
    public required PluginChoice<IStage> Stage { get; init; }

    /// <summary>All random numbers of the run come from it. 0 or more; default 1.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Device that the roles of this process take turns on: <c>cpu</c> or <c>cuda:N</c>. Default cpu.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>The run's folder and what goes into it.</summary>
    public RunFolderSettings Run { get; init; } = new();

    /// <summary>Where plugins come from.</summary>
    public PluginSettings Plugins { get; init; } = new();

    /// <summary>The models by name: path, adapter, head, precision.</summary>
    [DefaultPlugin("models")]
    public PluginChoice<IModelStore> Models { get; init; } = new("models");

    /// <summary>The roles; those that are left out come from the stage.</summary>
    public RoleSettings Roles { get; init; } = new();

    /// <summary>Ranks of the trained models, and the processes they run in.</summary>
    public TrainerSettings Trainer { get; init; } = new();

    /// <summary>Time limits, queues and retries.</summary>
    public FlowOptions Flow { get; init; } = new();

    /// <summary>How the run spreads over nodes, when it is started by <c>node</c>.</summary>
    public ClusterOptions Cluster { get; init; } = new();

    /// <summary>What this node tells collectors about the run.</summary>
    public TelemetrySettings Telemetry { get; init; } = new();

    /// <summary>Keys of the section.</summary>
    internal static IReadOnlySet<string> Keys { get; } =
        typeof(RunSettings).GetProperties(System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.Instance).Select(property => KebabCase.Of(property.Name)).ToHashSet();

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Device != "cpu" && !(Device.StartsWith("cuda:", StringComparison.Ordinal) && uint.TryParse(Device[5..], out _)))
            yield return $"device is '{Device}'; it must be cpu or cuda:N, such as \"cuda:0\".";
    }
}

/// <summary>Section <c>run</c>.</summary>
public sealed record RunFolderSettings : ICheckedOptions
{
    /// <summary>Folder that holds the runs' folders. Default <c>runs</c>.</summary>
    public string Folder { get; init; } = "runs";

    /// <summary>Name of this run's folder; when taken, -2, -3, ... is added. Empty takes the stage's name. Default empty.</summary>
    public string Name { get; init; } = "";

    /// <summary>Iterations between checkpoints; 0 saves at the end and on a stop only. Default 0.</summary>
    public long CheckpointEvery { get; init; }

    /// <summary>Newest checkpoints kept. 1 or more; default 2.</summary>
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>Metric, such as <c>eval/loss</c>, by which the best checkpoint is kept besides the newest. Empty keeps none; default empty.</summary>
    public string KeepBest { get; init; } = "";

    /// <summary>Which way that metric is better: <c>lower</c> or <c>higher</c>. Default lower.</summary>
    public BestIs BestIs { get; init; } = BestIs.Lower;

    /// <summary>Iterations between rows in samples.jsonl; 0 writes none. Default 10.</summary>
    public long SamplesEvery { get; init; } = 10;

    /// <summary>
    /// Answers and scores are kept in <c>journal/</c>, online stages only: a run that was killed does not make them again, and
    /// <c>run replay</c> trains on them again. Default on.
    /// </summary>
    public bool Journal { get; init; } = true;

    /// <summary>Newest iterations kept in it; files go whole, so a few more stay. 0 keeps all; default 0.</summary>
    public long KeepJournal { get; init; }

    /// <summary>Where metrics go besides metrics.jsonl, such as <c>tensorboard</c>. Empty for nowhere; default all that are installed.</summary>
    public IReadOnlyList<string>? Sinks { get; init; }

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Folder.Length == 0)
            yield return "folder is empty; name the folder that holds the runs, such as runs.";
        if (Name.IndexOfAny(['/', '\\', ':']) >= 0 || Name is "." or "..")
            yield return $"name is '{Name}'; it must be a plain folder name. Use folder for the place.";
        if (CheckpointEvery < 0)
            yield return $"checkpoint-every is {CheckpointEvery}; it must be 0 (at the end only) or more.";
        if (KeepCheckpoints < 1)
            yield return $"keep-checkpoints is {KeepCheckpoints}; it must be 1 or more.";
        if (KeepJournal < 0)
            yield return $"keep-journal is {KeepJournal}; it must be 0 (all) or more.";
        if (SamplesEvery < 0)
            yield return $"samples-every is {SamplesEvery}; it must be 0 (none) or more.";
    }
}

/// <summary>Section <c>trainer</c>: what all trained models have in common.</summary>
public sealed record TrainerSettings : ICheckedOptions
{
    /// <summary>
    /// Ranks of each trained model. They share batches out and, by <c>engine.sharding</c> of the trainer, weights, gradients
    /// and optimiser states. 1 to 64; default 1.
    /// </summary>
    public int Ranks { get; init; } = 1;

    /// <summary>
    /// Processes of their own for ranks above 0, which are dealt out over them; 0 runs all ranks in this process. 0 to
    /// ranks - 1; default 0.
    /// </summary>
    public int Processes { get; init; }

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (Ranks is < 1 or > 64)
            yield return $"ranks is {Ranks}; it must be from 1 to 64.";
        if (Processes < 0 || Processes > Math.Max(0, Ranks - 1))
            yield return $"processes is {Processes} and ranks {Ranks}; processes must be from 0 (all ranks in this process) to ranks - 1, because rank 0 is always in this one.";
    }
}

/// <summary>Section <c>plugins</c>.</summary>
public sealed record PluginSettings
{
    /// <summary>Folder of plugins besides the one beside the program; empty for none. Default empty.</summary>
    public string Folder { get; init; } = "";

    /// <summary>
    /// True for a run that takes over what is built into <see cref="Folder"/> while it goes on, after the running iteration.
    /// Default off.
    /// </summary>
    public bool Watch { get; init; }

    /// <summary>True when the run takes over what is built into a plugin's folder.</summary>
    /// <param name="pluginFolder">Full path.</param>
    internal bool Watches(string pluginFolder)
    {
        if (!Watch || Folder.Length == 0)
            return false;
        var own = Path.TrimEndingDirectorySeparator(Path.GetFullPath(Folder));
        return pluginFolder == own || pluginFolder.StartsWith(own + Path.DirectorySeparatorChar, StringComparison.Ordinal);
    }

    /// <summary>SHA-256 that a plugin's main dll must have, by plugin name. Default none.</summary>
    public IReadOnlyDictionary<string, string> Pins { get; init; } = new Dictionary<string, string>();
}

/// <summary>Section <c>roles</c>. A role without <c>use</c> takes the plugin that the stage names.</summary>
public sealed record RoleSettings
{
    /// <summary>Hands out prompts; online stages.</summary>
    public PluginChoice<IPromptSource>? Prompts { get; init; }

    /// <summary>Writes answers; online stages.</summary>
    public PluginChoice<IRolloutRole>? Rollout { get; init; }

    /// <summary>Log-probabilities of the reference; online stages.</summary>
    public PluginChoice<IScoringRole>? Reference { get; init; }

    /// <summary>Values; online stages with a critic.</summary>
    public PluginChoice<IScoringRole>? Critic { get; init; }

    /// <summary>Rewards; online stages.</summary>
    public PluginChoice<IScoringRole>? Reward { get; init; }

    /// <summary>Turns scored rollouts into experience; online stages.</summary>
    public PluginChoice<IExperienceRole>? Experience { get; init; }

    /// <summary>Hands out a dataset's batches; offline stages.</summary>
    public PluginChoice<IBatchSource>? Batches { get; init; }

    /// <summary>One trainer for each model the stage trains, by the model's name.</summary>
    public IReadOnlyDictionary<string, PluginChoice<ITrainerRole>> Trainers { get; init; } = new Dictionary<string, PluginChoice<ITrainerRole>>();
}
