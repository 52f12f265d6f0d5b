using System.Collections.Frozen;
using static ColossalChat.Cluster.DataCodec;
using static ColossalChat.Cluster.FlowParts;

namespace ColossalChat.Cluster;

/// <summary>How messages of one type cross the wire.</summary>
/// <param name="Manifest">Names type and version; never used again for anything else.</param>
/// <param name="Type">The message's type.</param>
/// <param name="Write">Writes its fields.</param>
/// <param name="Read">Reads them in the same order.</param>
internal sealed record WireMessage(string Manifest, Type Type, Action<FlowWriter, object> Write, Func<FlowReader, object> Read);

/// <summary>
/// Every message that crosses to another node. A new one gets <see cref="IWireMessage"/> and an entry here. Fields that change
/// get a manifest with the next number: nodes of two versions then refuse each other's messages by name instead of
/// misreading them.
/// </summary>
internal static class FlowMessages
{
    private static readonly WireMessage[] s_all =
    [
        // ---- Online ----
        Of<StartIteration>(
            "si1",
            (to, message) =>
            {
                Write(to, message.Window);
                to.Int32(message.Prompts);
                to.Int32(message.AnswersPerPrompt);
                to.Int32(message.RowsPerBatch);
            },
            from => new(ReadWindow(from), from.Int32("Prompts"), from.Int32("AnswersPerPrompt"), from.Int32("RowsPerBatch"))),
        Of<GenerateRollout>(
            "gr1",
            (to, message) =>
            {
                Write(to, message.Batch);
                Write(to, message.Window);
                Write(to, message.Prompts);
            },
            from => new(ReadBatchId(from), ReadWindow(from), ReadPromptBatch(from))),
        Of<ScoreRollout>(
            "sr1",
            (to, message) =>
            {
                Write(to, message.Batch);
                Write(to, message.Window);
                Write(to, message.Rollout);
            },
            from => new(ReadBatchId(from), ReadWindow(from), ReadRollout(from))),
        Of<RolloutDone>(
            "rd1",
            (to, message) =>
            {
                Write(to, message.Batch);
                Write(to, message.Window);
                Write(to, message.Rollout);
                to.Duration(message.Took);
            },
            from => new(ReadBatchId(from), ReadWindow(from), ReadRollout(from), from.Duration("Took"))),
        Of<RolloutScored>(
            "rs1",
            (to, message) =>
            {
                Write(to, message.Batch);
                Write(to, message.Window);
                Write(to, message.Scores);
                to.Duration(message.Took);
                to.Int64(message.Mark);
            },
            from => new(ReadBatchId(from), ReadWindow(from), ReadScores(from), from.Duration("Took")) { Mark = from.Int64("Mark") }),
        Of<BatchJoined>("bj1", (to, message) => Write(to, message.Batch), from => new(ReadBatchId(from))),
        Of<ExperienceBuilt>(
            "eb1",
            (to, message) => WriteWindowResult(to, message.Iteration, message.Size, message.Metrics, message.Samples),
            from => new(from.Int64("Iteration"), ReadWindowSize(from), from.Numbers("Metrics"), ReadSamples(from))),
        Of<WindowMeasured>(
            "wm1",
            (to, message) => WriteWindowResult(to, message.Iteration, message.Size, message.Metrics, message.Samples),
            from => new(from.Int64("Iteration"), ReadWindowSize(from), from.Numbers("Metrics"), ReadSamples(from))),

        // ---- Offline ----
        Of<StartBatch>(
            "sb1",
            (to, message) =>
            {
                to.Int64(message.Iteration);
                Write(to, message.Route);
            },
            from => new(from.Int64("Iteration"), ReadTrainingRoute(from))),
        Of<BatchTaken>(
            "bt1",
            (to, message) =>
            {
                to.Int64(message.Iteration);
                Write(to, message.Size);
            },
            from => new(from.Int64("Iteration"), ReadWindowSize(from))),
        Of<EvaluateHeldOut>(
            "eh1",
            (to, message) =>
            {
                to.Int64(message.Iteration);
                to.List(message.HeldOut, Write);
            },
            from => new(from.Int64("Iteration"), from.List("HeldOut", LeastExperience, ReadExperience))),
        Of<HeldOutEvaluated>(
            "he1",
            (to, message) =>
            {
                to.Int64(message.Iteration);
                Write(to, message.Trainer);
                to.Numbers(message.Metrics);
            },
            from => new(from.Int64("Iteration"), ReadTrainerId(from), from.Numbers("Metrics"))),

        // ---- Training ----
        Of<TrainShard>(
            "ts1",
            (to, message) =>
            {
                Write(to, message.Batch);
                Write(to, message.Request);
            },
            from => new(ReadBatchId(from), ReadTrainRequest(from))),
        Of<ShardBegun>(
            "sg1",
            (to, message) =>
            {
                Write(to, message.Batch);
                Write(to, message.Trainer);
                to.Int32(message.Steps);
            },
            from => new(ReadBatchId(from), ReadTrainerId(from), from.Int32("Steps"))),
        Of<StepComputed>(
            "sc1",
            (to, message) =>
            {
                Write(to, message.Batch);
                Write(to, message.Trainer);
                to.Int32(message.Step);
                to.Bool(message.IsFinite);
            },
            from => new(ReadBatchId(from), ReadTrainerId(from), from.Int32("Step"), from.Bool("IsFinite"))),
        Of<FinishStep>(
            "fs1",
            (to, message) =>
            {
                Write(to, message.Batch);
                to.Int32(message.Step);
                to.Bool(message.Apply);
            },
            from => new(ReadBatchId(from), from.Int32("Step"), from.Bool("Apply"))),
        Of<RepeatStep>("rt1", (to, message) => Write(to, message.Batch), from => new(ReadBatchId(from))),
        Of<ShardTrained>(
            "st1",
            (to, message) =>
            {
                Write(to, message.Batch);
                Write(to, message.Trainer);
                to.Numbers(message.Metrics);
                to.Duration(message.Took);
            },
            from => new(ReadBatchId(from), ReadTrainerId(from), from.Numbers("Metrics"), from.Duration("Took"))),
        Of<PublishWeights>(
            "pw1",
            (to, message) =>
            {
                to.Int64(message.Iteration);
                to.Int64(message.Epoch);
                to.Int64(message.Version);
                to.Refs(message.Readers);
            },
            from => new(from.Int64("Iteration"), from.Int64("Epoch"), from.Int64("Version"), from.Refs("Readers"))),
        Of<WeightsReady>(
            "wr1",
            (to, message) =>
            {
                to.Int64(message.Iteration);
                Write(to, message.Publication);
            },
            from => new(from.Int64("Iteration"), ReadWeightsPublication(from))),
        Of<WeightsLoaded>(
            "wl1",
            (to, message) =>
            {
                to.Int64(message.Iteration);
                to.Name(message.Reader);
                Write(to, message.Publication);
            },
            from => new(from.Int64("Iteration"), from.Name("Reader"), ReadWeightsPublication(from))),

        // ---- Beginning and ending ----
        Of<RoleOpened>(
            "ro1",
            (to, message) =>
            {
                to.Int64(message.Iteration);
                to.Name(message.Role);
                Write(to, message.Facts);
            },
            from => new(from.Int64("Iteration"), from.Name("Role"), ReadRoleFacts(from))),
        Of<ExportModel>(
            "xm1",
            (to, message) =>
            {
                to.Int64(message.Iteration);
                to.Text(message.Folder);
            },
            from => new(from.Int64("Iteration"), from.Text("Folder"))),
        Of<ModelExported>(
            "mx1",
            (to, message) =>
            {
                to.Int64(message.Iteration);
                Write(to, message.Trainer);
                to.Text(message.Folder);
            },
            from => new(from.Int64("Iteration"), ReadTrainerId(from), from.Text("Folder"))),

        // ---- Supervision ----
        Of<RoleFailed>(
            "rf1",
            (to, message) =>
            {
                to.Int64(message.Epoch);
                to.Name(message.Role);
                Write(to, message.Batch);
                to.Text(message.Reason);
                to.Enum(message.Repair);
                to.Enum(message.ExitCode);
                to.Int64(message.Ticket);
            },
            from => new(
                from.Int64("Epoch"), from.Name("Role"), ReadBatchId(from), from.Text("Reason"), from.Enum<Repair>("Repair"), from.Enum<Contracts.ExitCode>("ExitCode"))
                { Ticket = from.Int64("Ticket") }),
        Of<RestartRole>("rr1", (_, _) => { }, _ => new()),
        Of<FlowNoted>(
            "fn1",
            (to, message) =>
            {
                to.Int64(message.Epoch);
                to.Name(message.Kind);
                to.Text(message.Message);
            },
            from => new(from.Int64("Epoch"), from.Name("Kind"), from.Text("Message"))),

        // ---- Lane ----
        Of<Parcel>(Parcel.OwnManifest, Write, ReadParcel),
        Of<ParcelTaken>("pt1", (to, message) => to.Int64(message.Number), from => new(from.Int64("Number"))),
        .. NodeMessageEntries.All,
        .. SwapMessageEntries.All,
    ];

    /// <summary>Entries by manifest.</summary>
    public static FrozenDictionary<string, WireMessage> ByManifest { get; } = s_all.ToFrozenDictionary(entry => entry.Manifest, StringComparer.Ordinal);

    /// <summary>Entries by type.</summary>
    public static FrozenDictionary<Type, WireMessage> ByType { get; } = s_all.ToFrozenDictionary(entry => entry.Type);

    internal static WireMessage Of<T>(string manifest, Action<FlowWriter, T> write, Func<FlowReader, T> read)
        where T : class, IWireMessage => new(manifest, typeof(T), (to, message) => write(to, (T)message), read);
}
