using System.Text.Json;
using System.Text.Json.Nodes;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using static TorchSharp.torch;

namespace ColossalChat.Lora;

/// <summary>adapter_config.json and adapter_model.safetensors, as PEFT 0.7 and later write and read them.</summary>
internal static class AdapterFolder
{
    private const string ConfigFile = "adapter_config.json";
    private const string WeightsFile = "adapter_model.safetensors";
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Writes both files; each appears complete or not at all, the configuration last.</summary>
    public static void Save(string folder, LoraOptions options, string[] sites, IReadOnlyList<ParameterSlot> parameters)
    {
        Directory.CreateDirectory(folder);
        var tensors = parameters.Select(slot => new SafetensorsEntry(slot.Name, "F32", [.. slot.Shape], Bytes(slot))).ToArray();
        Safetensors.Write(Path.Combine(folder, WeightsFile), tensors);
        // PEFT reads a list as endings of names; wildcards would be nothing to it, so those are written out in full.
        var targets = options.TargetPatterns.All(TargetPattern.IsPlain) ? [.. options.TargetPatterns] : sites;
        var config = new JsonObject
        {
            ["peft_type"] = "LORA",
            ["task_type"] = "CAUSAL_LM",
            ["base_model_name_or_path"] = options.BaseModel.Length == 0 ? null : options.BaseModel,
            ["r"] = options.Rank,
            ["lora_alpha"] = options.Alpha == Math.Floor(options.Alpha) && options.Alpha < int.MaxValue ? JsonValue.Create((int)options.Alpha) : JsonValue.Create(options.Alpha),
            ["lora_dropout"] = options.Dropout,
            ["target_modules"] = new JsonArray([.. targets.Select(target => JsonValue.Create(target))]),
            ["bias"] = "none",
            ["fan_in_fan_out"] = false,
            ["inference_mode"] = true,
            ["init_lora_weights"] = true,
            ["modules_to_save"] = null,
            ["use_rslora"] = false,
            ["use_dora"] = false,
        };
        var file = Path.Combine(folder, ConfigFile);
        File.WriteAllText(file + ".part", config.ToJsonString(Indented));
        File.Move(file + ".part", file, overwrite: true);
    }

    /// <summary>Reads weights into the parameters, in place.</summary>
    /// <exception cref="UserErrorException">Rank, alpha, kind or a tensor does not fit; the message names it.</exception>
    public static void Load(string folder, LoraOptions options, IReadOnlyList<ParameterSlot> parameters)
    {
        CheckConfig(Path.Combine(folder, ConfigFile), options);
        var file = Path.Combine(folder, WeightsFile);
        var tensors = Safetensors.Read(file).ToDictionary(entry => entry.Name);
        foreach (var slot in parameters)
        {
            if (!tensors.TryGetValue(slot.Name, out var entry))
                throw new UserErrorException($"'{file}' has no tensor '{slot.Name}'; it was saved from other target-patterns or another model.");
            if (!entry.Shape.AsSpan().SequenceEqual(slot.Shape.ToArray()))
                throw new UserErrorException(
                    $"'{slot.Name}' in '{file}' has shape [{string.Join(", ", entry.Shape)}]; this model needs [{string.Join(", ", slot.Shape)}].");
        }

        var known = parameters.Select(slot => slot.Name).ToHashSet();
        if (tensors.Keys.FirstOrDefault(name => !known.Contains(name)) is { } extra)
            throw new UserErrorException($"'{file}' has a tensor '{extra}' that no adapter of this model takes; set target-patterns as they were when it was saved.");
        foreach (var slot in parameters)
            CopyInto(slot, tensors[slot.Name], file);
    }

    private static void CheckConfig(string file, LoraOptions options)
    {
        if (!File.Exists(file))
            throw new UserErrorException($"'{file}' does not exist; give the folder of a saved adapter.", ExitCode.NotFound);
        JsonObject config;
        try
        {
            config = JsonNode.Parse(File.ReadAllText(file)) as JsonObject ?? throw new JsonException("it is no JSON object");
        }
        catch (JsonException error)
        {
            throw new UserErrorException($"'{file}' is broken: {error.Message}", ExitCode.Invalid, error);
        }

        Require(config, "peft_type", "LORA", "only LoRA adapters can be read", file);
        Require(config, "r", options.Rank, $"set rank to it (it is {options.Rank} here)", file);
        Require(config, "lora_alpha", options.Alpha, $"set alpha to it (it is {options.Alpha} here)", file);
        Require(config, "bias", "none", "biases are not trained here", file);
        Require(config, "use_rslora", false, "another scale than alpha / rank is not supported", file);
        Require(config, "use_dora", false, "DoRA is not supported", file);
    }

    private static void Require<T>(JsonObject config, string key, T wanted, string what, string file)
    {
        var value = config[key];
        var agrees = value switch
        {
            null => key is "bias" or "use_rslora" or "use_dora",
            JsonValue number when wanted is double w => number.TryGetValue<double>(out var d) && Math.Abs(d - w) < 1e-9,
            JsonValue known => known.TryGetValue<T>(out var v) && Equals(v, wanted),
            _ => false,
        };
        if (!agrees)
            throw new UserErrorException($"{key} is {value?.ToJsonString() ?? "absent"} in '{file}'; {what}.");
    }

    private static byte[] Bytes(ParameterSlot slot)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        return slot.Value.detach().to(float32).cpu().contiguous().bytes.ToArray();
    }

    private static void CopyInto(ParameterSlot slot, SafetensorsEntry entry, string file)
    {
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var type = entry.Type switch
        {
            "F32" => ScalarType.Float32,
            "F16" => ScalarType.Float16,
            "BF16" => ScalarType.BFloat16,
            _ => throw new UserErrorException($"'{entry.Name}' in '{file}' has element type {entry.Type}; F32, F16 and BF16 can be read."),
        };
        var source = empty([.. entry.Shape], type);
        entry.Data.CopyTo(source.bytes);
        slot.Value.copy_(source);
    }
}
