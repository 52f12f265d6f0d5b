using ColossalChat.Contracts;
using static ColossalChat.Cluster.DataCodec;

namespace ColossalChat.Cluster;

/// <summary>What several messages hold, as bytes.</summary>
internal static class FlowParts
{
    public static void Write(FlowWriter to, Window window)
    {
        to.Int64(window.Iteration);
        to.Enum(window.Purpose);
        to.Int32(window.Batches);
        Write(to, window.Route);
    }

    public static Window ReadWindow(FlowReader from) => new(
        from.Int64("Window.Iteration"), from.Enum<BatchPurpose>("Window.Purpose"), from.Int32("Batches"), ReadRoute(from));

    public static void Write(FlowWriter to, Route route)
    {
        to.Ref(route.Prompts);
        to.Refs(route.Scorers);
        to.Ref(route.Experience);
        Write(to, route.Training);
    }

    public static Route ReadRoute(FlowReader from) => new(
        from.Ref("Route.Prompts"), from.Refs("Scorers"), from.Ref("Route.Experience"), ReadTrainingRoute(from));

    public static void Write(FlowWriter to, TrainingRoute route)
    {
        to.List(route.Trainers, (_, trainer) =>
        {
            Write(to, trainer.Key);
            to.Ref(trainer.Value);
        });
        to.Int32(route.Ranks);
        to.Int64(route.Iterations);
    }

    public static TrainingRoute ReadTrainingRoute(FlowReader from) => new(
        from.Map("Trainers", 3, ReadTrainerId, _ => from.Ref("Trainers")), from.Int32("Ranks"), from.Int64("Iterations"));

    public static void Write(WireWriter to, TrainerId trainer)
    {
        to.Name(trainer.Model);
        to.Int32(trainer.Rank);
    }

    public static TrainerId ReadTrainerId(WireReader from) => new(from.Name("Trainer.Model"), from.Int32("Trainer.Rank"));

    public static void Write(WireWriter to, WindowSize size)
    {
        to.Int32(size.Rows);
        to.Int64(size.Tokens);
        to.Int64(size.Written);
    }

    public static WindowSize ReadWindowSize(WireReader from) => new(from.Int32("Rows"), from.Int64("Tokens"), from.Int64("Written"));

    public static void WriteWindowResult(
        WireWriter to, long iteration, WindowSize size, IReadOnlyDictionary<string, double> metrics, IReadOnlyList<SampleRow> samples)
    {
        to.Int64(iteration);
        Write(to, size);
        to.Numbers(metrics);
        to.List(samples, DataCodec.Write);
    }

    public static SampleRow[] ReadSamples(WireReader from) => from.List("Samples", LeastSampleRow, ReadSampleRow);

    public static void Write(WireWriter to, RoleFacts facts)
    {
        to.Bool(facts.HasState);
        to.Int32(facts.HeldOutPrompts);
        to.Int64(facts.Iterations);
        to.List(facts.HeldOut, DataCodec.Write);
        to.Numbers(facts.Metrics);
        to.List(facts.Remarks, static (to, remark) => to.Text(remark));
    }

    public static RoleFacts ReadRoleFacts(WireReader from) => new()
    {
        HasState = from.Bool("HasState"),
        HeldOutPrompts = from.Int32("HeldOutPrompts"),
        Iterations = from.Int64("Iterations"),
        HeldOut = from.List("HeldOut", LeastExperience, ReadExperience),
        Metrics = from.Numbers("Metrics"),
        Remarks = from.List("Remarks", 1, static from => from.Text("Remarks")),
    };

    public static void Write(WireWriter to, NodeCard card)
    {
        to.Name(card.Name);
        to.List(card.Roles, static (to, role) => to.Name(role));
        to.Name(card.Machine);
        to.Name(card.Host);
        to.Int32(card.MeetPort);
        to.Name(card.Fingerprint);
        to.List(card.Versions, static (to, entry) =>
        {
            to.Name(entry.Key);
            to.Name(entry.Value);
        });
        to.Int64(card.Clock.UtcTicks);
    }

    public static NodeCard ReadNodeCard(WireReader from) => new(
        from.Name("Name"), from.List("Roles", 1, static from => from.Name("Roles")), from.Name("Machine"), from.Name("Host"), from.Int32("MeetPort"), from.Name("Fingerprint"),
        from.Map("Versions", 2, static from => from.Name("Versions"), static from => from.Name("Versions")), ReadTime(from));

    public static void Write(WireWriter to, WrittenFile file)
    {
        to.Int64(file.Bytes);
        to.Name(file.Hash);
    }

    public static WrittenFile ReadWrittenFile(WireReader from) => new(from.Int64("Bytes"), from.Name("Hash"));

    /// <summary>Bytes of a <see cref="PluginCopy"/> with empty names.</summary>
    public const int LeastPluginCopy = 4;

    public static void Write(WireWriter to, PluginCopy copy)
    {
        to.Name(copy.Plugin);
        to.Text(copy.Place);
        to.Name(copy.Fingerprint);
        to.Text(copy.Source);
    }

    public static PluginCopy ReadPluginCopy(WireReader from) => new(from.Name("Plugin"), from.Text("Place"), from.Name("Fingerprint"), from.Text("Source"));

    public static void Write(WireWriter to, Parcel parcel)
    {
        to.Int64(parcel.Number);
        to.Name(parcel.Manifest);
        to.List(parcel.Pieces, DataCodec.Write);
    }

    public static Parcel ReadParcel(WireReader from)
    {
        // What a parcel claims is checked before anybody takes memory for it; one that holds a parcel would have no end.
        var (number, manifest, pieces) = (from.Int64("Number"), from.Name("Manifest"), from.List("Pieces", 4, ReadBlobReference));
        if (manifest == Parcel.OwnManifest || !FlowMessages.ByManifest.ContainsKey(manifest))
            throw from.Refusal($"Manifest is '{manifest}'; no message has it that goes through the lane");
        foreach (var piece in pieces)
            if (piece.Bytes is < 1 or > WireLimits.PieceBytes)
                throw from.Refusal($"Bytes of a piece is {piece.Bytes}; 1 to {WireLimits.PieceBytes} are allowed");
        var parcel = new Parcel(number, manifest, pieces);
        return parcel.Bytes is >= 1 and <= WireLimits.ParcelBytes
            ? parcel
            : throw from.Refusal($"Bytes is {parcel.Bytes}; 1 to {WireLimits.ParcelBytes} are allowed");
    }

    private static DateTimeOffset ReadTime(WireReader from)
    {
        var ticks = from.Int64("Clock");
        return ticks >= 0 && ticks <= DateTimeOffset.MaxValue.Ticks
            ? new DateTimeOffset(ticks, TimeSpan.Zero)
            : throw from.Refusal($"Clock is {ticks} ticks, which is no time");
    }
}
