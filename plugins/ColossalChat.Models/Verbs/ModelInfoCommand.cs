using System.Text.Json.Nodes;
using ColossalChat.Contracts;
using ColossalChat.Models.Folders;

namespace ColossalChat.Models.Verbs;

/// <summary>Options of <c>model info</c>.</summary>
public sealed record ModelInfoOptions
{
    /// <summary>Model folder.</summary>
    [CliArgument(0)]
    [CliHelp("Model folder")]
    public required string Folder { get; init; }

    /// <summary>One JSON document.</summary>
    [CliHelp("One JSON document")]
    public bool Json { get; init; }
}

/// <summary>What a model folder holds.</summary>
internal sealed class ModelInfoCommand : CliCommand<ModelInfoOptions>
{
    /// <inheritdoc/>
    public override string Path => "model info";

    /// <inheritdoc/>
    public override string Summary => "What a model folder holds";

    /// <inheritdoc/>
    protected override Task<ExitCode> RunAsync(ModelInfoOptions options, CliContext context, CancellationToken cancel)
    {
        using var lease = context.Node.Devices.Take("cpu", cancel);
        using var model = context.Node.OpenModel(options.Folder, new ModelOpenOptions());
        var folder = ModelFolder.Read(options.Folder);
        var facts = new JsonObject
        {
            ["family"] = model.Family,
            ["parameters"] = model.Parameters,
            ["context_length"] = model.Generator.ContextLength,
            ["saved_precision"] = folder.IsQuantised ? "quantised" : Precisions.NameOf(folder.SavedPrecision()),
            ["has_value_head"] = File.Exists(System.IO.Path.Combine(options.Folder, ModelFolder.ValueHeadName)),
            ["tokenizer_hash"] = model.Text?.Tokenizer.Hash,
            ["vocabulary_size"] = model.Text?.Tokenizer.VocabularySize,
            ["chat_template"] = model.Text?.Template.Name,
            ["config"] = JsonNode.Parse(folder.ConfigJson),
        };
        if (options.Json)
            context.Out.WriteJson(facts);
        else
            foreach (var (name, value) in facts.Where(fact => fact.Key != "config"))
                context.Out.WriteLine($"{name.Replace('_', ' '),-16} {value?.ToString() ?? "-"}");
        return Task.FromResult(ExitCode.Ok);
    }
}
