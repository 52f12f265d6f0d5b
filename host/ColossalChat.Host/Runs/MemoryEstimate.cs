using System.Globalization;
using System.Text.Json.Nodes;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Host.Config;
using ColossalChat.Host.Node;
using ColossalChat.Host.Ranks;

namespace ColossalChat.Host.Runs;

/// <summary>What one rank holds of one model.</summary>
/// <param name="Rank">From 0.</param>
/// <param name="Model">Its name.</param>
/// <param name="Memory">What the engine holds, after a step and at rest.</param>
/// <param name="Frozen">Weights that do not train, bytes.</param>
/// <param name="Trainable">Numbers of the whole model that train, whichever rank holds them.</param>
/// <param name="Published">Bytes of them as they are published.</param>
internal sealed record RankMemory(int Rank, string Model, ShardMemory Memory, long Frozen, long Trainable, long Published)
{
    /// <summary>Bytes in memory.</summary>
    public long InMemory => Memory.Weights + Memory.Gathered + Memory.Gradients + Memory.States + Frozen;
}

/// <summary>
/// Memory of a run before the run. The very code that trains is run on the device <c>meta</c>, whose tensors have sizes and
/// no numbers, once for each rank, and then asked what it holds.
/// </summary>
/// <param name="Ranks">Ranks that train.</param>
/// <param name="Trained">By rank and model.</param>
/// <param name="Others">Weights of models that do not train, bytes by name; the process of the roles that use them holds them.</param>
/// <param name="Copies">Copies of all ranks' states that the processes come to hold.</param>
/// <param name="Publications">Publications of trained weights that are kept for readers with weights of their own.</param>
/// <param name="Staleness">Updates by which rollouts may lag.</param>
internal sealed record MemoryEstimate(
    int Ranks, IReadOnlyList<RankMemory> Trained, IReadOnlyDictionary<string, long> Others, int Copies, int Publications, int Staleness)
{
    // A copy has float32 weights and both moments, whatever the model computes in.
    private const long CopiedBytes = 3 * sizeof(float);
    private const string Meta = "meta";
    private const double Mebi = 1 << 20;

    /// <summary>Makes every rank's engines, one rank after the other.</summary>
    /// <param name="bound">The run.</param>
    /// <param name="ranks">Ranks that train, 1 or more.</param>
    /// <param name="cancel">Checked between ranks.</param>
    public static MemoryEstimate Of(BoundRun bound, int ranks, CancellationToken cancel)
    {
        var trained = new List<RankMemory>();
        IReadOnlyDictionary<string, long> others = new Dictionary<string, long>();
        for (var rank = 0; rank < ranks; rank++)
        {
            cancel.ThrowIfCancellationRequested();
            var engines = new List<(TrainingTarget Target, ITrainingEngine Engine)>();
            using var node = new NodeContext(NodeSetup.Of(new RunBinding(bound), null, SilentLog.Instance) with
            {
                Device = Meta,
                Made = made => made is ITrainingEngineFactory factory ? new NotingFactory(factory, engines) : made,
            });
            var made = new List<object>();
            try
            {
                trained.AddRange(Trainers(bound, node, (rank, ranks), made, engines));
                if (rank == 0)
                    others = OtherModels(bound, node, made, engines);
            }
            finally
            {
                foreach (var role in Enumerable.Reverse(made).OfType<IDisposable>())
                    role.Dispose();
            }
        }

        return new MemoryEstimate(ranks, trained, others, CopiesOf(bound.Settings), bound.Plan.Flow == FlowKind.Online ? bound.Settings.Flow.Staleness + 2 : 0, bound.Settings.Flow.Staleness);
    }

    /// <summary>Bytes of the copies; every parameter is in each of them once.</summary>
    public long CopyBytes => Copies * CopiedBytes * Trained.Where(row => row.Rank == 0).Sum(row => row.Trainable);

    /// <summary>Bytes of published weights that are kept while rollouts may lag; rank 0's process has them.</summary>
    public long PublicationBytes => Staleness > 0 ? Kept : 0;

    private long InMemory => Trained.Sum(row => row.InMemory) + Others.Values.Sum() + CopyBytes + PublicationBytes;

    // A reader that is late or new still finds what it was told of.
    private long Kept => Publications * Trained.Where(row => row.Rank == 0).Sum(row => row.Published);

    // Safe points take turns in two of them, and checkpoints are written from these. Without safe points the memory of the
    // last checkpoint stays for the next.
    private static int CopiesOf(RunSettings settings) => settings.Flow.SafePointShare > 0 ? 2 : settings.Run.CheckpointEvery > 0 ? 1 : 0;

    /// <summary>One document.</summary>
    public JsonObject ToJson() => new()
    {
        ["ranks"] = Ranks,
        ["by_rank"] = new JsonArray([.. Trained.GroupBy(row => row.Rank).Select(rank => (JsonNode)new JsonObject
        {
            ["rank"] = rank.Key,
            ["models"] = new JsonObject(rank.Select(row => KeyValuePair.Create(row.Model, (JsonNode?)ToJson(row)))),
            ["memory_bytes"] = rank.Sum(row => row.InMemory),
            ["disk_bytes"] = rank.Sum(row => row.Memory.OnDisk),
        })]),
        ["other_models"] = new JsonObject(Others.Select(other => KeyValuePair.Create(other.Key, (JsonNode?)JsonValue.Create(other.Value)))),
        ["copies_bytes"] = CopyBytes,
        ["publications_bytes"] = PublicationBytes,
        ["memory_bytes"] = InMemory,
        ["disk_bytes"] = Trained.Sum(row => row.Memory.OnDisk),
    };

    /// <summary>A table in MiB.</summary>
    public void Write(TextWriter output)
    {
        output.WriteLine(Line("rank", "model", "weights", "frozen", "gradients", "states", "on disk", "memory"));
        foreach (var row in Trained)
        {
            var memory = row.Memory;
            output.WriteLine(Line(
                row.Rank.ToString(CultureInfo.InvariantCulture), row.Model, Size(memory.Weights), Size(row.Frozen), Size(memory.Gradients), Size(memory.States), Size(memory.OnDisk), Size(row.InMemory)));
        }

        foreach (var (model, bytes) in Others)
            output.WriteLine(Line("-", model, "", Size(bytes), "", "", "", Size(bytes)));
        if (CopyBytes > 0)
            output.WriteLine(Line("-", "copies of states", "", "", "", Size(CopyBytes), "", Size(CopyBytes)));
        if (PublicationBytes > 0)
            output.WriteLine(Line("-", "publications", Size(PublicationBytes), "", "", "", "", Size(PublicationBytes)));
        output.WriteLine(Line("all", "", "", "", "", "", Size(Trained.Sum(row => row.Memory.OnDisk)), Size(InMemory)));
        output.WriteLine("MiB, at rest between steps; activations, gathered weights and the program itself come on top. Placement auto is counted on disk, where it begins.");
        if (CopyBytes > 0)
            output.WriteLine("Copies of states are for safe points and checkpoints, each with the process that has the rank; what would take a process beyond its part of half of the memory lies in files of the run folder.");
        if (Kept > PublicationBytes)
            output.WriteLine($"On several nodes, the machine of trainer rank 0 holds {Size(Kept)} MiB of published weights besides, and every node a copy of each model that its roles use.");
    }

    private static IEnumerable<RankMemory> Trainers(
        BoundRun bound, NodeContext node, (int Rank, int Ranks) place, List<object> made, List<(TrainingTarget Target, ITrainingEngine Engine)> engines)
    {
        var layout = new RankLayout(new TrainerSettings { Ranks = place.Ranks });
        foreach (var model in bound.Plan.ModelsTrained)
        {
            var before = engines.Count;
            made.Add(layout.Make(node, bound.Settings, model, place.Rank, attempt: 0, node.Peers));
            foreach (var (target, engine) in engines.Skip(before))
            {
                var trainable = engine.Trainable.ToHashSet(ReferenceEqualityComparer.Instance);
                yield return new RankMemory(place.Rank, model, engine.Usage.Memory, SlotsOf(target).Where(slot => !trainable.Contains(slot)).Sum(BytesOf), engine.Trainable.Sum(NumbersOf), engine.Trainable.Sum(BytesOf));
            }
        }
    }

    private static Dictionary<string, long> OtherModels(
        BoundRun bound, NodeContext node, List<object> made, List<(TrainingTarget Target, ITrainingEngine Engine)> engines)
    {
        var seen = engines.SelectMany(engine => SlotsOf(engine.Target)).ToHashSet(ReferenceEqualityComparer.Instance);
        var makers = RoleMakers.Of(new RunBinding(bound), node, TrainerRanks.OfDryRun(new RunBinding(bound), node));
        Func<object>?[] all = [makers.Rollout, .. makers.Scorers.Values];
        foreach (var make in all.OfType<Func<object>>())
            made.Add(make());
        var store = node.Create(bound.Settings.Models);
        var trained = seen.ToHashSet(ReferenceEqualityComparer.Instance);
        var bytes = new Dictionary<string, long>();
        foreach (var name in store.Borrowed)
        {
            using var model = store.Borrow(name);
            var slots = SlotsOf(new TrainingTarget(model.Body, model.ValueHead ?? model.Body.LanguageHead, model.Adapter));
            if (slots.Where(seen.Add).Sum(BytesOf) is var own and > 0)
                bytes[name] = own;
            if (bound.Settings.Flow.Staleness == 0 || !slots.Any(trained.Contains))
                continue;
            using var copy = store.BorrowCopy(name);
            if (SlotsOf(new TrainingTarget(copy.Body, copy.ValueHead ?? copy.Body.LanguageHead, copy.Adapter)).Where(seen.Add).Sum(BytesOf) is var copied and > 0)
                bytes[$"{name} (copy)"] = copied;
        }

        return bytes;
    }

    // Everything that is in memory, used or not.
    private static IEnumerable<ParameterSlot> SlotsOf(TrainingTarget target) =>
        target.Body.Blocks.Prepend(target.Body.Embedding).Append(target.Body.FinalNorm).Append(target.Body.LanguageHead).Append(target.Head)
            .SelectMany(part => part.Parameters)
            .Concat(target.Adapter?.Parameters ?? [])
            .Distinct();

    private static long BytesOf(ParameterSlot slot) =>
        NumbersOf(slot) * slot.Value.ElementSize;

    private static long NumbersOf(ParameterSlot slot) => slot.Shape.Aggregate(1L, (product, size) => product * size);

    private static JsonObject ToJson(RankMemory row) => new()
    {
        ["weights"] = row.Memory.Weights,
        ["frozen"] = row.Frozen,
        ["gathered"] = row.Memory.Gathered,
        ["gradients"] = row.Memory.Gradients,
        ["states"] = row.Memory.States,
        ["on_disk"] = row.Memory.OnDisk,
    };

    private static string Line(string rank, string model, params string[] sizes) =>
        $"{rank,4}  {model,-16}{string.Concat(sizes.Select(size => $"{size,11}"))}";

    private static string Size(long bytes) => (bytes / Mebi).ToString("N1", CultureInfo.InvariantCulture);

    private sealed class NotingFactory(ITrainingEngineFactory inner, List<(TrainingTarget Target, ITrainingEngine Engine)> engines) : ITrainingEngineFactory
    {
        public ITrainingEngine Create(TrainingTarget target, INodeContext context)
        {
            var engine = inner.Create(target, context);
            engines.Add((target, engine));
            return engine;
        }
    }
}
