using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Models.Safetensors;

namespace ColossalChat.Models.Folders;

/// <summary>The safetensors files of a model folder, single or sharded, seen as one set of tensors.</summary>
internal sealed class WeightFiles : IDisposable
{
    /// <summary>Name of a single weight file.</summary>
    public const string SingleName = "model.safetensors";

    /// <summary>Name of the list of shards.</summary>
    public const string IndexName = "model.safetensors.index.json";
    private readonly List<SafetensorsFile> _files = [];

    /// <summary>Every tensor and the file it is in.</summary>
    public Dictionary<string, (SafetensorsFile File, TensorEntry Entry)> Tensors { get; } = new(StringComparer.Ordinal);

    /// <summary>Opens a folder's weights.</summary>
    /// <exception cref="UserErrorException">There are none, a shard is missing, or a file is broken.</exception>
    public static WeightFiles Open(string folder)
    {
        var files = new WeightFiles();
        try
        {
            var index = Path.Combine(folder, IndexName);
            if (File.Exists(index))
                files.AddShards(folder, index);
            else if (File.Exists(Path.Combine(folder, SingleName)))
                files.Add(Path.Combine(folder, SingleName));
            else
                throw new UserErrorException($"{folder} has neither {SingleName} nor {IndexName}. Other weight formats are not read; convert the model to safetensors.", ExitCode.NotFound);
            return files;
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <summary>Opens one file.</summary>
    public static WeightFiles OpenSingle(string path)
    {
        var files = new WeightFiles();
        files.Add(path);
        return files;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in _files)
            file.Dispose();
    }

    private void Add(string path)
    {
        var file = SafetensorsFile.Open(path);
        _files.Add(file);
        foreach (var entry in file.Entries)
            if (!Tensors.TryAdd(entry.Name, (file, entry)))
                throw new UserErrorException($"Tensor {entry.Name} is both in {Tensors[entry.Name].File.Path} and in {path}. Export the model again.");
    }

    private void AddShards(string folder, string index)
    {
        Dictionary<string, string> map;
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(index));
            map = json.RootElement.GetProperty("weight_map").EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetString()!, StringComparer.Ordinal);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or ArgumentException)
        {
            throw new UserErrorException($"{index} is broken: {e.Message} Fetch the file again.", inner: e);
        }

        foreach (var shard in map.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            if (shard != Path.GetFileName(shard))
                throw new UserErrorException($"{index} names the file {shard}; shards must lie in the folder itself.");
            Add(Path.Combine(folder, shard));
        }

        foreach (var (name, shard) in map)
            if (!Tensors.TryGetValue(name, out var found) || Path.GetFileName(found.File.Path) != shard)
                throw new UserErrorException($"{index} says that tensor {name} is in {shard}, and it is not. Fetch the files again.");
        foreach (var name in Tensors.Keys)
            if (!map.ContainsKey(name))
                throw new UserErrorException($"Tensor {name} of {Tensors[name].File.Path} is not listed in {index}. Fetch the files again.");
    }
}
