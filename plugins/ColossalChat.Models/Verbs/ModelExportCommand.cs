using ColossalChat.Contracts;
using ColossalChat.Contracts.Torch;
using ColossalChat.Models.Folders;
using ColossalChat.Models.Heads;
using ColossalChat.Models.Llama;
using static TorchSharp.torch;

namespace ColossalChat.Models.Verbs;

/// <summary>Options of <c>model export</c>.</summary>
public sealed record ModelExportOptions
{
    /// <summary>Folder to read.</summary>
    [CliArgument(0)]
    [CliHelp("Model folder to read")]
    public required string Source { get; init; }

    /// <summary>Folder to write; a model folder of that name is replaced.</summary>
    [CliArgument(1)]
    [CliHelp("Model folder to write")]
    public required string Target { get; init; }

    /// <summary>float32, bfloat16 or float16; null keeps what config.json says.</summary>
    [CliHelp("Element type to write: float32, bfloat16, float16")]
    public string? Precision { get; init; }

    /// <summary>Largest weight file in megabytes (10^6 bytes). Default 5000.</summary>
    [CliHelp("Largest weight file in megabytes")]
    public int ShardMegabytes { get; init; } = 5000;
}

/// <summary>Reads a model folder strictly and writes it anew, in another element type or other shards.</summary>
internal sealed class ModelExportCommand : CliCommand<ModelExportOptions>
{
    /// <inheritdoc/>
    public override string Path => "model export";

    /// <inheritdoc/>
    public override string Summary => "Write a model folder anew, in another precision or other shards";

    /// <inheritdoc/>
    protected override Task<ExitCode> RunAsync(ModelExportOptions options, CliContext context, CancellationToken cancel)
    {
        if (options.ShardMegabytes < 1)
            throw new UserErrorException($"--shard-megabytes is {options.ShardMegabytes}; it must be at least 1.", ExitCode.Usage);
        if (System.IO.Path.GetFullPath(options.Source) == System.IO.Path.GetFullPath(options.Target))
            throw new UserErrorException("Source and target are the same folder; name another target.", ExitCode.Usage);
        using var lease = context.Node.Devices.Take("cpu", cancel);
        var folder = ModelFolder.Read(options.Source);
        if (folder.IsQuantised)
            throw new UserErrorException($"{options.Source} is quantised; export reads plain folders only.");
        var precision = options.Precision is { } name ? Precisions.Parse(name) : folder.SavedPrecision();
        var largest = options.ShardMegabytes * 1_000_000L;
        if (File.Exists(System.IO.Path.Combine(options.Source, ModelFolder.ValueHeadName)))
        {
            using var model = folder.LoadValueModel(context.Node, ScalarType.Float32, CPU, null, default);
            var head = (ValueHead)model.ValueHead;
            FolderWriter.Write(folder, options.Target, model.Body.BodyParameters(), [head.Weight, head.Bias], precision, largestShard: largest);
        }
        else
        {
            using var model = folder.LoadLanguageModel(context.Node, ScalarType.Float32, CPU, null);
            FolderWriter.Write(folder, options.Target, model.AllParameters(), (IReadOnlyList<ParameterSlot>)[], precision, largestShard: largest);
        }

        context.Out.WriteLine($"{options.Target} written in {Precisions.NameOf(precision)}");
        return Task.FromResult(ExitCode.Ok);
    }
}
