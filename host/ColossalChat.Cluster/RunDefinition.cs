using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Everything the actors need to carry out one stage in this process.</summary>
public sealed record RunDefinition
{
    /// <summary>What the stage declares.</summary>
    public required StagePlan Plan { get; init; }

    /// <summary>Makers of the roles that take part.</summary>
    public required RunRoles Roles { get; init; }

    /// <summary>Turns on the device that all roles of this process share.</summary>
    public required IDeviceLeases Devices { get; init; }

    /// <summary>Device name of those turns, such as <c>cpu</c>.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>Folder of this run; checkpoints go to <c>checkpoints/</c>, exported models to <c>models/</c> below it.</summary>
    public required string RunFolder { get; init; }

    /// <summary>
    /// Name of the run in traces, the same on all its nodes and, so that traces of two runs never mix, of no other run.
    /// Default the run folder's name.
    /// </summary>
    public string RunId { get => field ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(RunFolder)); init; }

    /// <summary>Iterations between checkpoints; 0 saves at the end and on a stop only.</summary>
    public long CheckpointEvery { get; init; }

    /// <summary>Newest checkpoints kept; at least 1.</summary>
    public int KeepCheckpoints { get; init; } = 2;

    /// <summary>Besides, the best checkpoint is kept; null for none.</summary>
    public BestRule? KeepBest { get; init; }

    /// <summary>Ends the run after this many iterations counted from the start of the run (schedules still see the whole); null for none.</summary>
    public long? MaxIterations { get; init; }

    /// <summary>Checkpoint to continue from, whose memory the run takes over; null for a new run.</summary>
    public Checkpoint? ResumeFrom { get; init; }

    /// <summary>What is kept of the run's samples; null for nothing. Offline runs make no samples and keep none.</summary>
    public JournalSettings? Journal { get; init; }

    /// <summary>Takes what happens.</summary>
    public required IRunObserver Observer { get; init; }

    /// <summary>Time limits, queues and retries of the actors.</summary>
    public FlowOptions Flow { get; init; } = new();

    /// <summary>
    /// Gives this process up, and says why: a role's call hangs, so that its thread and device are lost. Whoever started the
    /// process starts it again. Null where the run ends instead.
    /// </summary>
    public Action<string>? Abandon { get; init; }

    /// <summary>Carries large messages to other nodes; null where all roles are in this process.</summary>
    public ParcelPost? Parcels { get; init; }

    /// <summary>Ends the run after the running iteration; null where only the one who started it can.</summary>
    public Action? RequestStop { get; init; }

    /// <summary>Asked before anything is written into the run's folder; throws when another process leads the run by now.</summary>
    public Action? Fence { get; init; }

    /// <summary>Its roles run on several nodes, between which messages can be lost.</summary>
    public bool IsSpread => Parcels is not null;

    /// <summary>
    /// A batch that is lost on its way is written again, perhaps differently: by newer weights, or on a machine that rounds
    /// otherwise. Scores then say which answers they are of.
    /// </summary>
    internal bool MarksRollouts => IsSpread || Flow.Staleness > 0;

    /// <summary>A state is saved at the end of the run; a replay has no use for it.</summary>
    internal bool SavesAtEnd { get; init; } = true;

    /// <summary>Trained models are exported at the end of the run; a replay's are those of the run.</summary>
    internal bool ExportsModels { get; init; } = true;

    /// <summary>Exchanges plugins while the run goes on; null when none can be.</summary>
    public IPluginExchange? Plugins { get; init; }

    /// <summary>Time between two looks into the run's drop box and after watched plugins.</summary>
    public TimeSpan ControlEvery { get; init; } = TimeSpan.FromSeconds(0.5);

    /// <summary>Puts a state on disk, gives its folder and remarks; a test's disk may be slow or full.</summary>
    internal Func<RunDefinition, RunState, Action<string>, string> WriteWith { get; init; } =
        (run, state, remark) => CheckpointWriter.Write(run.RunFolder, state, run.KeepCheckpoints, run.KeepBest, remark, run.Fence);

    /// <summary>Why nothing of the run's folder is this process's to write or to answer any more; null when it is.</summary>
    internal string? WhyFenced()
    {
        try
        {
            Fence?.Invoke();
            return null;
        }
        catch (Exception error)
        {
            // Who cannot know that it leads leaves the folder alone, whatever the reason.
            return error.Message;
        }
    }

    internal string Write(RunState state, Action<string> remark)
    {
        Fence?.Invoke();
        return WriteWith(this, state, remark);
    }
}

/// <summary>
/// Makers of roles. A maker is called again when a failed role is restarted. Roles that the plan does not need are null.
/// </summary>
public sealed record RunRoles
{
    /// <summary>Online: prompts.</summary>
    public Func<IPromptSource>? Prompts { get; init; }

    /// <summary>Online: the policy's rollouts.</summary>
    public Func<IRolloutRole>? Rollout { get; init; }

    /// <summary>Online: one scorer for each kind of <see cref="StagePlan.ScoresNeeded"/>.</summary>
    public IReadOnlyDictionary<ScoreKind, Func<IScoringRole>> Scorers { get; init; } = new Dictionary<ScoreKind, Func<IScoringRole>>();

    /// <summary>Online: experience.</summary>
    public Func<IExperienceRole>? Experience { get; init; }

    /// <summary>Offline: batches.</summary>
    public Func<IBatchSource>? Batches { get; init; }

    /// <summary>
    /// Ranks 0 and up of each model of <see cref="StagePlan.ModelsTrained"/>, as many of every model. A maker gets the
    /// number of the formation, since ranks of different ones must never meet, and its end, after which none waits for the others.
    /// An attempt is a formation; making its roles anew while it goes on is another.
    /// </summary>
    public required IReadOnlyDictionary<TrainerId, Func<long, CancellationToken, ITrainerRole>> Trainers { get; init; }
}

/// <summary>Takes what happens in a run. Called from actor threads, one call at a time.</summary>
public interface IRunObserver
{
    /// <summary>The run begins.</summary>
    /// <param name="firstIteration">1, or the one after the checkpoint.</param>
    /// <param name="iterations">The whole run's.</param>
    void Started(long firstIteration, long iterations);

    /// <summary>An iteration or a measurement ended.</summary>
    void Reported(IterationReport report);

    /// <summary>Something to note: checkpoint saved, role restarted, batch replayed, overflow skipped, resumed.</summary>
    /// <param name="kind">Short word, such as <c>checkpoint</c>, <c>restart</c>, <c>overflow</c>.</param>
    /// <param name="message">One sentence.</param>
    void Noted(string kind, string message);
}

/// <summary>What one iteration or measurement gave.</summary>
/// <param name="Iteration">From 1; 0 for the measurement before training.</param>
/// <param name="Purpose">Training or measuring.</param>
/// <param name="Metrics">All numbers, timings included as <c>timing/generate_s</c>, <c>timing/ref_s</c>, <c>timing/value_s</c>, <c>timing/reward_s</c>, <c>timing/learn_s</c>, <c>perf/step_s</c>.</param>
/// <param name="Samples">Rows to read.</param>
public sealed record IterationReport(
    long Iteration,
    BatchPurpose Purpose,
    IReadOnlyDictionary<string, double> Metrics,
    IReadOnlyList<SampleRow> Samples);

/// <summary>How a run ended.</summary>
/// <param name="ExitCode">
/// Ok; Interrupted (stopped, after a checkpoint where there was something to save); Failed; or what a role, the data or
/// the machine did not allow: Usage, Invalid, NotFound or Resource.
/// </param>
/// <param name="Failure">Why it failed; null otherwise.</param>
/// <param name="LastIteration">Last finished iteration.</param>
/// <param name="Checkpoint">Folder of the last checkpoint, or null.</param>
/// <param name="ModelFolders">Exported model folders by model; only when Ok.</param>
public sealed record RunEnd(
    ExitCode ExitCode,
    string? Failure,
    long LastIteration,
    string? Checkpoint,
    IReadOnlyDictionary<string, string> ModelFolders);

/// <summary>Time limits, queues and retries; section <c>flow</c> of the configuration.</summary>
public sealed record FlowOptions : ICheckedOptions
{
    /// <summary>Longest time one role call may take. 1 s to 24 h; default 30 min.</summary>
    public TimeSpan RoleTimeout { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>Rollout batches between prompts and experience at one time (credits). 1 to 64; default 4.</summary>
    public int BatchesInFlight { get; init; } = 4;

    /// <summary>
    /// Updates by which the weights that write answers may be older than the policy that learns from them. 0 to 8; default 0:
    /// strictly on-policy. Above 0 so many windows are written ahead while an iteration trains, and what comes of a run depends
    /// on timing.
    /// </summary>
    public int Staleness { get; init; }

    /// <summary>Restarts of one role within ten minutes before the run fails. 0 to 100; default 3.</summary>
    public int RoleRestarts { get; init; } = 3;

    /// <summary>Longest time a cancelled role call may take to return; after it the run fails. 1 s to 10 min; default 10 s.</summary>
    public TimeSpan CancelGrace { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Share of the run's time that copying the state to memory may take, 0 to 0.5; default 0.02. When a role with state
    /// fails, the run goes back to the last copy. 0 makes no copies: it goes back to the last checkpoint.
    /// </summary>
    public double SafePointShare { get; init; } = 0.02;

    /// <summary>
    /// With several nodes: time without an answer after which a request is sent again, because it or its answer may have
    /// been lost. 100 ms to 1 min; default 2 s. Nothing is done twice for it.
    /// </summary>
    public TimeSpan ResendAfter { get; init; } = TimeSpan.FromSeconds(2);

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        if (ResendAfter < TimeSpan.FromMilliseconds(100) || ResendAfter > TimeSpan.FromMinutes(1))
            yield return $"resend-after is {ResendAfter}; it must be from 100 ms to 1 min.";
        if (CancelGrace < TimeSpan.FromSeconds(1) || CancelGrace > TimeSpan.FromMinutes(10))
            yield return $"cancel-grace is {CancelGrace}; it must be from 1 s to 10 min.";
        if (SafePointShare is not (>= 0 and <= 0.5))
            yield return $"safe-point-share is {SafePointShare}; it must be from 0 to 0.5.";
        if (RoleTimeout < TimeSpan.FromSeconds(1) || RoleTimeout > TimeSpan.FromHours(24))
            yield return $"role-timeout is {RoleTimeout}; it must be from 1 s to 24 h.";
        if (BatchesInFlight is < 1 or > 64)
            yield return $"batches-in-flight is {BatchesInFlight}; it must be from 1 to 64.";
        if (Staleness is < 0 or > 8)
            yield return $"staleness is {Staleness}; it must be from 0 (on-policy) to 8.";
        if (RoleRestarts is < 0 or > 100)
            yield return $"role-restarts is {RoleRestarts}; it must be from 0 to 100.";
    }
}
