using System.Text.Json;
using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

// The documents inside a checkpoint folder:
//   manifest.json            iteration, epoch, totals, world size and strategy of each model, score, and size and hash of
//                            every other file; written last, by the process that leads the run
//   ROLE/state.json          chunk map: which tensors ROLE/state.bin holds, and where; and the role's JSON documents
//   ROLE/state.bin           tensors back to back
// A ROLE is a slot, such as trainers.policy for rank 0 of policy and trainers.policy@1 for rank 1. A rank that has a process
// of its own writes its folder there, all at the same time. Of a sharded model a tensor is one piece of a parameter, named
// kind/parameter@first-element, so the chunk maps of all ranks together tell who holds what of every chunk.

/// <summary>manifest.json. Format 1 had neither score nor trainers.</summary>
internal sealed record CheckpointManifest(
    int Format, long Iteration, long Epoch, RunTotals Totals, IReadOnlyList<ManifestFile> Files, bool OwesMeasurement = false)
{
    public const string FileName = "manifest.json";
    public const int OldestFormat = 1;
    public const int CurrentFormat = 2;

    public CheckpointScore? Score { get; init; }

    /// <summary>By model.</summary>
    public IReadOnlyDictionary<string, ManifestTrainer> Trainers { get; init; } = new Dictionary<string, ManifestTrainer>();
}

/// <summary>How a model's state is shared out over the role folders of its ranks.</summary>
/// <param name="Ranks">World size.</param>
/// <param name="Strategy">Name of the sharding strategy; null when the trainer does not say.</param>
internal sealed record ManifestTrainer(int Ranks, string? Strategy);

/// <summary>A file of a checkpoint.</summary>
/// <param name="Path">Relative, with forward slashes.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Hash">XxHash128, 32 hexadecimal digits.</param>
internal sealed record ManifestFile(string Path, long Bytes, string Hash);

/// <summary>state.json.</summary>
internal sealed record StateIndex(IReadOnlyList<StateEntry> Tensors, IReadOnlyDictionary<string, string> Json)
{
    public const string FileName = "state.json";
    public const string DataFileName = "state.bin";
}

/// <summary>A tensor in state.bin; the manifest has the hash over all of them.</summary>
internal sealed record StateEntry(string Name, ElementType Type, long[] Shape, long Offset, int Bytes);

internal static class CheckpointJson
{
    public static JsonSerializerOptions Options { get; } = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Converters = { new System.Text.Json.Serialization.JsonStringEnumConverter() },
    };
}
