using ColossalChat.Contracts;

namespace ColossalChat.Chat;

/// <summary>Settings of a conversation in the terminal.</summary>
public sealed record TerminalChatOptions : ICheckedOptions
{
    /// <summary>System message; null or empty for none.</summary>
    public string? System { get; init; }

    /// <summary>0 takes the likeliest token each time. 0 to 10; default 0.7.</summary>
    public double Temperature { get; init; } = 0.7;

    /// <summary>Keeps the likeliest tokens that together reach p. Above 0, at most 1; default 0.95.</summary>
    public double TopP { get; init; } = 0.95;

    /// <summary>Most tokens of one answer; the model's context may end it earlier. 1 or more; default 256.</summary>
    public int MaxTokens { get; init; } = 256;

    /// <summary>Seed of the drawing; each answer draws with a key of its own. Default 1.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Device the model is on: <c>cpu</c> or <c>cuda:N</c>. Default <c>cpu</c>.</summary>
    public string Device { get; init; } = "cpu";

    /// <inheritdoc/>
    public IEnumerable<string> Problems()
    {
        foreach (var problem in Sampling.Problems())
            yield return problem;
        if (MaxTokens < 1)
            yield return $"max-tokens is {MaxTokens}; it must be 1 or more.";
    }

    internal SamplingOptions Sampling => new() { Temperature = Temperature, TopP = TopP };
}
