using System.Text.Json;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Heads;
using ColossalChat.Models.Llama;
using TorchSharp;
using static TorchSharp.torch;

namespace ColossalChat.Models.Folders;

/// <summary>A model folder in Hugging Face layout.</summary>
internal sealed class ModelFolder
{
    /// <summary>Name of the value head's weights, beside the body's.</summary>
    public const string ValueHeadName = "value_head.safetensors";
    private static readonly HashSet<string> s_nothing = [];
    private static readonly HashSet<string> s_headTensor = ["lm_head.weight"];
    private static readonly HashSet<string> s_headBias = [ValueHead.BiasName];

    private ModelFolder(string path, string configJson, string modelType, bool isQuantised) =>
        (Path, ConfigJson, ModelType, IsQuantised) = (path, configJson, modelType, isQuantised);

    /// <summary>Where it is.</summary>
    public string Path { get; }

    /// <summary>Content of config.json.</summary>
    public string ConfigJson { get; }

    /// <summary>Family, such as <c>llama</c>.</summary>
    public string ModelType { get; }

    /// <summary>True when config.json speaks of quantised weights, which another plugin reads.</summary>
    public bool IsQuantised { get; }

    /// <summary>Reads config.json.</summary>
    /// <exception cref="UserErrorException">The folder or the file is missing or broken.</exception>
    public static ModelFolder Read(string path)
    {
        var file = System.IO.Path.Combine(path, "config.json");
        if (!File.Exists(file))
            throw new UserErrorException($"{path} is no model folder: it has no config.json. Name a folder in Hugging Face layout.", ExitCode.NotFound);
        try
        {
            var text = File.ReadAllText(file);
            using var json = JsonDocument.Parse(text);
            var type = json.RootElement.TryGetProperty("model_type", out var value) ? value.GetString() : null;
            var quantised = json.RootElement.TryGetProperty("quantization_config", out var settings) && settings.ValueKind == JsonValueKind.Object;
            return new ModelFolder(path, text, type ?? throw new UserErrorException($"{file} has no model_type. Add it, such as \"model_type\": \"llama\"."), quantised);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            var line = e is JsonException { LineNumber: { } number } ? $" at line {number + 1}" : "";
            throw new UserErrorException($"{file} is broken: it is not valid JSON{line} ({e.Message.Split(" LineNumber")[0].TrimEnd('.')}). Mend it or fetch it again.", inner: e);
        }
    }

    /// <summary>Says why this program cannot build the model, when it cannot.</summary>
    /// <exception cref="UserErrorException">No family of that name is there, or the weights are quantised.</exception>
    public void CheckReadable(INodeContext context)
    {
        var families = context.NamesOf<IModelFamily>();
        if (!families.Contains(ModelType))
            throw new UserErrorException($"{Path} has model_type {ModelType}; allowed here: {string.Join(", ", families)}.");
        if (IsQuantised)
            throw new UserErrorException($"{Path} holds quantised weights (quantization_config in config.json); use the model's plain weights, or a plugin that reads these.");
    }

    /// <summary>Ids that end a text, as config.json and generation_config.json name them: a number or a list.</summary>
    public IReadOnlyList<int> EndIds()
    {
        var ids = new SortedSet<int>();
        var generation = System.IO.Path.Combine(Path, "generation_config.json");
        foreach (var text in File.Exists(generation) ? [ConfigJson, File.ReadAllText(generation)] : (string[])[ConfigJson])
        {
            using var json = JsonDocument.Parse(text);
            if (!json.RootElement.TryGetProperty("eos_token_id", out var value))
                continue;
            if (value.ValueKind == JsonValueKind.Number)
                ids.Add(value.GetInt32());
            else if (value.ValueKind == JsonValueKind.Array)
                ids.UnionWith(value.EnumerateArray().Select(item => item.GetInt32()));
        }

        return [.. ids];
    }

    /// <summary>Element type that the weights were saved in, as config.json says; float32 when it does not.</summary>
    public ScalarType SavedPrecision()
    {
        using var json = JsonDocument.Parse(ConfigJson);
        foreach (var field in (string[])["torch_dtype", "dtype"])
            if (json.RootElement.TryGetProperty(field, out var value) && value.ValueKind == JsonValueKind.String)
                return Precisions.Find(value.GetString()!) ?? ScalarType.Float32;
        return ScalarType.Float32;
    }

    /// <summary>Builds the language model and fills it.</summary>
    /// <param name="context">Knows the families.</param>
    /// <param name="precision">Element type of weights.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="initialise">Draws the weights from this key and reads none; null reads them.</param>
    public ICausalModel LoadLanguageModel(INodeContext context, ScalarType precision, Device device, RandomKey? initialise) =>
        Load(context, precision, device, initialise, model => model.AllParameters(), s_nothing);

    /// <summary>
    /// Builds a value model and fills it. The body of a language model will do: its language head is passed over, and a
    /// value head that is not there is drawn from <paramref name="headKey"/>.
    /// </summary>
    public ValueModel LoadValueModel(INodeContext context, ScalarType precision, Device device, RandomKey? initialise, RandomKey headKey)
    {
        var body = Load(context, precision, device, initialise, model => model.BodyParameters(), s_headTensor);
        try
        {
            var head = new ValueHead(body, headKey);
            var file = System.IO.Path.Combine(Path, ValueHeadName);
            if (initialise is null && device.type != DeviceType.META && File.Exists(file))
            {
                using var files = WeightFiles.OpenSingle(file);
                WeightLoader.Load(file, files, [head.Weight, head.Bias], s_headBias, s_nothing);
            }

            return new ValueModel(body, head);
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    private ICausalModel Load(
        INodeContext context,
        ScalarType precision,
        Device device,
        RandomKey? initialise,
        Func<ICausalModel, IReadOnlyList<ParameterSlot>> parameters,
        HashSet<string> ignored)
    {
        CheckReadable(context);
        var model = context.Resolve<IModelFamily>(ModelType).Create(ConfigJson, precision, device, initialise);
        try
        {
            if (initialise is null && device.type != DeviceType.META)
            {
                using var files = WeightFiles.Open(Path);
                WeightLoader.Load(Path, files, parameters(model), s_nothing, ignored);
            }

            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }
}
