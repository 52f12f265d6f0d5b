using System.Text.Json;
using System.Text.Json.Nodes;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Safetensors;
using static TorchSharp.torch;

namespace ColossalChat.Models.Folders;

/// <summary>
/// Writes model folders: under a temporary name first, renamed when complete. Everything of the source folder that is
/// neither weights nor config.json (tokenizer, chat template, generation settings) is copied.
/// </summary>
internal static class FolderWriter
{
    private const long LargestShard = 5_000_000_000;
    private static readonly string[] s_weights = [".safetensors", ".index.json", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx", ".part"];
    private static readonly JsonSerializerOptions s_indented = new() { WriteIndented = true };

    /// <summary>Writes a folder.</summary>
    /// <param name="source">Folder that the model came from.</param>
    /// <param name="target">Folder to write; a model folder of that name is replaced.</param>
    /// <param name="parameters">Weights.</param>
    /// <param name="head">Weights of a value head; empty for a language model.</param>
    /// <param name="precision">Element type to write.</param>
    /// <param name="extra">Writes more into the folder, which it is given.</param>
    /// <param name="largestShard">Bytes of weights in one file.</param>
    /// <param name="read">Makes a parameter readable while it is written; null where all are. Called in the order of the parameters, the head's last.</param>
    public static void Write(
        ModelFolder source,
        string target,
        IReadOnlyList<ParameterSlot> parameters,
        IReadOnlyList<ParameterSlot> head,
        ScalarType precision,
        Action<string>? extra = null,
        long largestShard = LargestShard,
        Func<ParameterSlot, IDisposable>? read = null)
    {
        target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(target));
        if (Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any() && !File.Exists(Path.Combine(target, "config.json")))
            throw new UserErrorException($"{target} exists and is no model folder, so it is not replaced. Name another folder.");
        var temporary = target + ".part";
        if (Directory.Exists(temporary))
            Directory.Delete(temporary, recursive: true);
        Directory.CreateDirectory(temporary);
        CopyTexts(source.Path, temporary);
        File.WriteAllText(Path.Combine(temporary, "config.json"), WithPrecision(source.ConfigJson, precision));
        WriteWeights(temporary, parameters, precision, largestShard, read);
        if (head.Count > 0)
            SafetensorsWriter.Write(Path.Combine(temporary, ModelFolder.ValueHeadName), head, precision, read);
        extra?.Invoke(temporary);
        Replace(temporary, target);
    }

    private static void CopyTexts(string source, string target)
    {
        foreach (var file in Directory.EnumerateFiles(source).Order(StringComparer.Ordinal))
        {
            var name = Path.GetFileName(file);
            if (name != "config.json" && !s_weights.Any(ending => name.EndsWith(ending, StringComparison.OrdinalIgnoreCase)))
                File.WriteAllBytes(Path.Combine(target, name), File.ReadAllBytes(file));
        }
    }

    private static string WithPrecision(string configJson, ScalarType precision)
    {
        var config = JsonNode.Parse(configJson)!.AsObject();
        config[config.ContainsKey("dtype") && !config.ContainsKey("torch_dtype") ? "dtype" : "torch_dtype"] = Precisions.NameOf(precision);
        return config.ToJsonString(s_indented) + "\n";
    }

    private static void WriteWeights(string folder, IReadOnlyList<ParameterSlot> parameters, ScalarType precision, long largestShard, Func<ParameterSlot, IDisposable>? read)
    {
        var shards = Split(parameters, precision, largestShard);
        if (shards.Count == 1)
        {
            SafetensorsWriter.Write(Path.Combine(folder, WeightFiles.SingleName), shards[0], precision, read);
            return;
        }

        var map = new JsonObject();
        for (var i = 0; i < shards.Count; i++)
        {
            var name = $"model-{i + 1:D5}-of-{shards.Count:D5}.safetensors";
            SafetensorsWriter.Write(Path.Combine(folder, name), shards[i], precision, read);
            foreach (var slot in shards[i])
                map[slot.Name] = name;
        }

        var index = new JsonObject
        {
            ["metadata"] = new JsonObject { ["total_size"] = parameters.Sum(slot => BytesOf(slot, precision)) },
            ["weight_map"] = map,
        };
        File.WriteAllText(Path.Combine(folder, WeightFiles.IndexName), index.ToJsonString(s_indented) + "\n");
    }

    private static List<List<ParameterSlot>> Split(IReadOnlyList<ParameterSlot> parameters, ScalarType precision, long largestShard)
    {
        var shards = new List<List<ParameterSlot>> { new() };
        long used = 0;
        foreach (var slot in parameters)
        {
            var bytes = BytesOf(slot, precision);
            if (used > 0 && used + bytes > largestShard)
            {
                shards.Add([]);
                used = 0;
            }

            shards[^1].Add(slot);
            used += bytes;
        }

        return shards;
    }

    private static long BytesOf(ParameterSlot slot, ScalarType precision) =>
        slot.Shape.Aggregate(1L, (product, size) => product * size) * SafetensorsWriter.WidthOf(precision);

    private static void Replace(string temporary, string target)
    {
        var old = target + ".old";
        if (Directory.Exists(old))
            Directory.Delete(old, recursive: true);
        if (Directory.Exists(target))
            Directory.Move(target, old);
        Directory.Move(temporary, target);
        if (Directory.Exists(old))
            Directory.Delete(old, recursive: true);
    }
}
