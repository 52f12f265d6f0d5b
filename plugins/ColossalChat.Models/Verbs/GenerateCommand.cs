using System.Text.Json.Nodes;
using ColossalChat.Contracts;
using ColossalChat.Models.Folders;

namespace ColossalChat.Models.Verbs;

/// <summary>Options of <c>generate</c>.</summary>
public sealed record GenerateOptions
{
    /// <summary>Model folder.</summary>
    [CliHelp("Model folder")]
    public required string Model { get; init; }

    /// <summary>Text to continue, or what the user says with <see cref="Chat"/>.</summary>
    [CliHelp("Text to continue; with --chat, what the user says")]
    public required string Prompt { get; init; }

    /// <summary>Most new tokens. Default 80.</summary>
    [CliHelp("Most new tokens")]
    public int MaxTokens { get; init; } = 80;

    /// <summary>0 is greedy. Default 1.</summary>
    [CliHelp("0 takes the likeliest token each time")]
    public double Temperature { get; init; } = 1;

    /// <summary>Default 0: off.</summary>
    [CliHelp("Keep the k likeliest tokens; 0 keeps all")]
    public int TopK { get; init; }

    /// <summary>Default 1: off.</summary>
    [CliHelp("Keep the likeliest tokens that together reach p")]
    public double TopP { get; init; } = 1;

    /// <summary>Default 0: off.</summary>
    [CliHelp("Keep tokens at least this share as likely as the likeliest")]
    public double MinP { get; init; }

    /// <summary>Default 1: off.</summary>
    [CliHelp("Make tokens that are already there less likely")]
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Texts that end the answer.</summary>
    [CliHelp("Text that ends the answer; may be given several times")]
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Seed of the drawing. Default 1.</summary>
    [CliHelp("Seed of the drawing")]
    public ulong Seed { get; init; } = 1;

    /// <summary>Renders the prompt as a chat turn with the folder's template.</summary>
    [CliHelp("Ask it as a chat turn, with the folder's template")]
    public bool Chat { get; init; }

    /// <summary>float32, bfloat16 or float16; null takes the format's own.</summary>
    [CliHelp("Element type of weights: float32, bfloat16, float16")]
    public string? Precision { get; init; }

    /// <summary>cpu or cuda:N. Default cpu.</summary>
    [CliHelp("Device: cpu or cuda:N")]
    public string Device { get; init; } = "cpu";

    /// <summary>One JSON document: text, completion, token_ids, log_probs, finish_reason.</summary>
    [CliHelp("One JSON document")]
    public bool Json { get; init; }
}

/// <summary>Continues a text, or answers one chat turn.</summary>
internal sealed class GenerateCommand : CliCommand<GenerateOptions>
{
    /// <inheritdoc/>
    public override string Path => "generate";

    /// <inheritdoc/>
    public override string Summary => "Continue a text with a model";

    /// <inheritdoc/>
    protected override Task<ExitCode> RunAsync(GenerateOptions options, CliContext context, CancellationToken cancel)
    {
        using var lease = context.Node.Devices.Take(options.Device, cancel);
        using var model = context.Node.OpenModel(options.Model, new ModelOpenOptions { Precision = options.Precision, Device = options.Device });
        var text = model.Text ?? FolderText.Open(context.Node, options.Model);
        var prompt = options.Chat
            ? text.Template.Encode([new ChatMessage(ChatRole.User, options.Prompt)], forAnswer: true).Ids
            : [.. text.Tokenizer.EncodeDocument(options.Prompt)];
        var stops = text.Tokenizer.EosIds.Union(ModelFolder.Read(options.Model).EndIds()).Union(options.Chat ? text.Template.StopIds : []);
        var answer = model.Generator.Generate([Request(options, prompt, [.. stops])], cancel)[0];
        Print(options, context, text.Tokenizer, prompt, answer);
        return Task.FromResult(ExitCode.Ok);
    }

    private static GenerationRequest Request(GenerateOptions options, int[] prompt, int[] stops) => new()
    {
        Prompt = prompt,
        MaxNewTokens = options.MaxTokens,
        Sampling = new SamplingOptions
        {
            Temperature = options.Temperature,
            TopK = options.TopK,
            TopP = options.TopP,
            MinP = options.MinP,
            RepetitionPenalty = options.RepetitionPenalty,
        },
        StopIds = stops,
        StopStrings = options.Stop,
        Key = new RandomKey(options.Seed, RandomPurpose.Sampling),
    };

    private static void Print(GenerateOptions options, CliContext context, ITokenizer tokenizer, int[] prompt, GeneratedText answer)
    {
        // Decoded as one text: the boundary of prompt and answer may fall inside a character or after a swallowed space.
        // What a stop string cut off must not come back that way.
        var whole = options.Chat ? answer.Text
            : options.Stop.Count > 0 ? options.Prompt + answer.Text
            : tokenizer.Decode([.. prompt, .. answer.Ids]);
        if (!options.Json)
        {
            context.Out.WriteLine(whole);
            return;
        }

        context.Out.WriteJson(new JsonObject
        {
            ["text"] = whole,
            ["completion"] = answer.Text,
            ["token_ids"] = answer.Ids.ToJson(),
            ["log_probs"] = answer.LogProbs.ToJson(),
            ["finish_reason"] = answer.FinishReason switch { FinishReason.Stop => "stop", FinishReason.Length => "length", _ => "cancelled" },
        });
    }
}
