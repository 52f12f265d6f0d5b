using System.Security.Cryptography;
using System.Text.Json;

namespace ColossalChat.EndToEndTests;

/// <summary>A training run of the program in a folder of its own.</summary>
public sealed class TrainingRun(string folder)
{
    /// <summary>The run's folder.</summary>
    public string Folder { get; } = folder;

    /// <summary>Exported model.</summary>
    public string Model(string name) => Path.Combine(Folder, "models", name);

    /// <summary>Hash of an exported model: of all its files of weights, so that a value head counts too.</summary>
    public string HashOf(string name) => string.Join(' ', Directory.GetFiles(Model(name), "*.safetensors")
        .Order(StringComparer.Ordinal).Select(file => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file)))));

    /// <summary>Runs a stage to its end.</summary>
    /// <param name="root">Folder that gets the run folder.</param>
    /// <param name="name">Name of the run.</param>
    /// <param name="stage">Stage.</param>
    /// <param name="file">Configuration below <c>Runs/</c>.</param>
    /// <param name="limit">Longest time.</param>
    /// <param name="settings">key=value settings.</param>
    public static TrainingRun Run(string root, string name, string stage, string file, TimeSpan limit, params string[] settings)
    {
        HostProcess.Succeed(limit, Arguments(root, name, stage, file, settings));
        return new TrainingRun(Path.Combine(root, name));
    }

    /// <summary>The command line of such a run.</summary>
    public static string[] Arguments(string root, string name, string stage, string file, params string[] settings) =>
        ["train", stage, Path.Combine(AppContext.BaseDirectory, "Runs", file), $"run.folder={root}", $"run.name={name}", .. settings];

    /// <summary>Values of a metric in order of iteration.</summary>
    public IReadOnlyList<(long Iteration, double Value)> Curve(string metric, string purpose = "train")
    {
        var points = new List<(long, double)>();
        foreach (var line in File.ReadLines(Path.Combine(Folder, "metrics.jsonl")))
        {
            using var point = JsonDocument.Parse(line);
            var at = point.RootElement;
            if (at.GetProperty("purpose").GetString() == purpose && at.GetProperty("metrics").TryGetProperty(metric, out var value))
                points.Add((at.GetProperty("iteration").GetInt64(), value.ValueKind == JsonValueKind.Number ? value.GetDouble() : double.NaN));
        }

        return points;
    }

    /// <summary>Every metric's name.</summary>
    public IReadOnlySet<string> MetricNames() => File.ReadLines(Path.Combine(Folder, "metrics.jsonl"))
        .SelectMany(line => JsonDocument.Parse(line).RootElement.GetProperty("metrics").EnumerateObject().Select(metric => metric.Name))
        .ToHashSet();
}
