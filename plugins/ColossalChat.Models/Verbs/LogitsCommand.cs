using System.Globalization;
using System.Text.Json.Nodes;
using ColossalChat.Contracts;

namespace ColossalChat.Models.Verbs;

/// <summary>Options of <c>model logits</c>.</summary>
public sealed record LogitsOptions
{
    /// <summary>Model folder.</summary>
    [CliHelp("Model folder")]
    public required string Model { get; init; }

    /// <summary>Token ids with commas between.</summary>
    [CliHelp("Token ids, such as 1,5,9")]
    public required string Ids { get; init; }

    /// <summary>float32, bfloat16 or float16; null takes the format's own.</summary>
    [CliHelp("Element type of weights: float32, bfloat16, float16")]
    public string? Precision { get; init; }

    /// <summary>cpu or cuda:N. Default cpu.</summary>
    [CliHelp("Device: cpu or cuda:N")]
    public string Device { get; init; } = "cpu";

    /// <summary>One JSON document: next_logprobs, last.</summary>
    [CliHelp("One JSON document")]
    public bool Json { get; init; }
}

/// <summary>Log-probabilities of given ids, and of every id that could follow.</summary>
internal sealed class LogitsCommand : CliCommand<LogitsOptions>
{
    private const int Shown = 10;

    /// <inheritdoc/>
    public override string Path => "model logits";

    /// <inheritdoc/>
    public override string Summary => "Log-probabilities of given token ids and of what follows them";

    /// <inheritdoc/>
    protected override Task<ExitCode> RunAsync(LogitsOptions options, CliContext context, CancellationToken cancel)
    {
        var ids = Parse(options.Ids);
        using var lease = context.Node.Devices.Take(options.Device, cancel);
        using var model = context.Node.OpenModel(options.Model, new ModelOpenOptions { Precision = options.Precision, Device = options.Device });
        var last = model.LanguageModel.NextLogProbs(ids, cancel);
        var next = model.LanguageModel.LogProbs(Ragged.FromRows([ids]), cancel);
        if (options.Json)
        {
            context.Out.WriteJson(new JsonObject { ["next_logprobs"] = next.Values.ToArray().ToJson(), ["last"] = last.ToJson() });
            return Task.FromResult(ExitCode.Ok);
        }

        for (var i = 1; i < ids.Length; i++)
            context.Out.WriteLine($"{ids[i]}: {next.Values.Span[i - 1]:F6}");
        context.Out.WriteLine($"likeliest next: {string.Join(", ", Enumerable.Range(0, last.Length).OrderByDescending(id => last[id]).Take(Shown).Select(id => $"{id} ({last[id]:F4})"))}");
        return Task.FromResult(ExitCode.Ok);
    }

    private static int[] Parse(string text)
    {
        var parts = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var ids = new int[parts.Length];
        for (var i = 0; i < parts.Length; i++)
            if (!int.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out ids[i]))
                throw new UserErrorException($"--ids has '{parts[i]}'; it must be token ids with commas between, such as 1,5,9.", ExitCode.Usage);
        return ids.Length > 0 ? ids : throw new UserErrorException("--ids is empty; give token ids with commas between, such as 1,5,9.", ExitCode.Usage);
    }
}
