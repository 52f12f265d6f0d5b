using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Folders;
using ColossalChat.Models.Heads;
using ColossalChat.Models.Llama;
using static TorchSharp.torch;

namespace ColossalChat.Models.Verbs;

/// <summary>Options of <c>model verify</c>.</summary>
public sealed record ModelVerifyOptions
{
    /// <summary>Model folder.</summary>
    [CliArgument(0)]
    [CliHelp("Model folder")]
    public required string Folder { get; init; }

    /// <summary>Folder to compare with; null compares nothing.</summary>
    [CliHelp("Model folder whose tensors must be the same")]
    public string? Against { get; init; }

    /// <summary>One JSON document: parameters, tensors, sha256, non_finite, different.</summary>
    [CliHelp("One JSON document")]
    public bool Json { get; init; }
}

/// <summary>Loads a folder strictly, looks for numbers that are none, hashes its weights, and compares two folders.</summary>
internal sealed class ModelVerifyCommand : CliCommand<ModelVerifyOptions>
{
    /// <inheritdoc/>
    public override string Path => "model verify";

    /// <inheritdoc/>
    public override string Summary => "Check a model folder, or compare two";

    /// <inheritdoc/>
    protected override Task<ExitCode> RunAsync(ModelVerifyOptions options, CliContext context, CancellationToken cancel)
    {
        using var lease = context.Node.Devices.Take("cpu", cancel);
        using var first = Load(context.Node, options.Folder);
        using var second = options.Against is { } other ? Load(context.Node, other) : null;
        var nonFinite = first.Slots.Where(slot => !IsFinite(slot.Value)).Select(slot => slot.Name).ToArray();
        var different = second is null ? [] : Differences(first.Slots, second.Slots).ToArray();
        var parameters = first.Slots.Sum(slot => slot.Value.numel());
        var hash = HashOf(first.Slots);
        if (options.Json)
            context.Out.WriteJson(new JsonObject
            {
                ["tensors"] = first.Slots.Count,
                ["parameters"] = parameters,
                ["sha256"] = hash,
                ["non_finite"] = new JsonArray([.. nonFinite.Select(name => (JsonNode)name)]),
                ["different"] = new JsonArray([.. different.Select(line => (JsonNode)line)]),
            });
        else
        {
            context.Out.WriteLine($"{first.Slots.Count} tensors, {parameters} parameters, sha256 {hash}");
            foreach (var name in nonFinite)
                context.Out.WriteLine($"{name}: holds NaN or infinity");
            foreach (var line in different)
                context.Out.WriteLine(line);
        }

        return Task.FromResult(nonFinite.Length + different.Length == 0 ? ExitCode.Ok : ExitCode.Failed);
    }

    private static Loaded Load(INodeContext node, string path)
    {
        var folder = ModelFolder.Read(path);
        var precision = folder.SavedPrecision();
        if (File.Exists(System.IO.Path.Combine(path, ModelFolder.ValueHeadName)))
        {
            var model = folder.LoadValueModel(node, precision, CPU, null, default);
            var head = (ValueHead)model.ValueHead;
            return new Loaded(model, [.. model.Body.BodyParameters(), head.Weight, head.Bias]);
        }

        var language = folder.LoadLanguageModel(node, precision, CPU, null);
        return new Loaded(language, language.AllParameters());
    }

    private static bool IsFinite(Tensor value)
    {
        using var scope = NewDisposeScope();
        return value.isfinite().all().item<bool>();
    }

    private static IEnumerable<string> Differences(IReadOnlyList<ParameterSlot> first, IReadOnlyList<ParameterSlot> second)
    {
        var others = second.ToDictionary(slot => slot.Name, StringComparer.Ordinal);
        foreach (var slot in first)
        {
            if (!others.Remove(slot.Name, out var other))
                yield return $"{slot.Name}: only in the first folder";
            else if (!slot.Shape.SequenceEqual(other.Shape))
                yield return $"{slot.Name}: [{string.Join(", ", slot.Shape)}] and [{string.Join(", ", other.Shape)}]";
            else if (Distance(slot.Value, other.Value) is not 0 and var distance)
                yield return $"{slot.Name}: differs by up to {distance:G3}";
        }

        foreach (var name in others.Keys)
            yield return $"{name}: only in the second folder";
    }

    private static double Distance(Tensor a, Tensor b)
    {
        using var scope = NewDisposeScope();
        return (a.to(ScalarType.Float32) - b.to(ScalarType.Float32)).abs().max().item<float>();
    }

    private static string HashOf(IReadOnlyList<ParameterSlot> slots)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var slot in slots.OrderBy(slot => slot.Name, StringComparer.Ordinal))
        {
            using var scope = NewDisposeScope();
            hash.AppendData(Encoding.UTF8.GetBytes(slot.Name));
            for (long row = 0; row < slot.Value.shape[0]; row++)
            {
                using var part = slot.Value.narrow(0, row, 1);
                hash.AppendData(part.bytes);
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private sealed record Loaded(IDisposable Model, IReadOnlyList<ParameterSlot> Slots) : IDisposable
    {
        public void Dispose() => Model.Dispose();
    }
}
