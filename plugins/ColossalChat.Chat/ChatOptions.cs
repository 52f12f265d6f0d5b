using ColossalChat.Contracts;

namespace ColossalChat.Chat;

/// <summary>Options of <c>chat</c>.</summary>
public sealed record ChatOptions
{
    /// <summary>Model folder.</summary>
    [CliHelp("Model folder")]
    public required string Model { get; init; }

    /// <summary>System message; null for none.</summary>
    [CliHelp("System message")]
    public string? System { get; init; }

    /// <summary>Every question stands alone. Default false.</summary>
    [CliHelp("Every question stands alone, as a model of single questions was trained")]
    public bool SingleTurn { get; init; }

    /// <summary>Default 0.7.</summary>
    [CliHelp("0 takes the likeliest token each time")]
    public double Temperature { get; init; } = 0.7;

    /// <summary>Default 0.95.</summary>
    [CliHelp("Keep the likeliest tokens that together reach p")]
    public double TopP { get; init; } = 0.95;

    /// <summary>Default 256.</summary>
    [CliHelp("Most tokens of one answer")]
    public int MaxTokens { get; init; } = 256;

    /// <summary>Default 1.</summary>
    [CliHelp("Seed of the drawing")]
    public ulong Seed { get; init; } = 1;

    /// <summary>File of questions and commands, one a line; null reads the terminal.</summary>
    [CliHelp("File of questions, one a line, instead of the terminal")]
    public string? Script { get; init; }

    /// <summary><c>float32</c>, <c>bfloat16</c> or <c>float16</c>; null takes the format's own.</summary>
    [CliHelp("Element type of weights: float32, bfloat16, float16")]
    public string? Precision { get; init; }

    /// <summary>Default <c>cpu</c>.</summary>
    [CliHelp("Device: cpu or cuda:N")]
    public string Device { get; init; } = "cpu";
}
